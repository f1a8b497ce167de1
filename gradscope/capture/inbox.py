"""Who received a gradient: one tiny hook per parameter, and which backward pass it belongs to.

* The hook appends a number to a list; everything else is done once per pass. The hooks hold this inbox, and the inbox
  holds the watcher weakly, so a forgotten scope is collected although torch keeps the hooks.
* A pass is known by the engine's task number. A checkpoint's inner pass has its own and belongs to the outer one;
  a pass that an exception ended is noticed when the next one begins.
* Parameters that cannot be hooked yet are waited for: lazy ones until their module ran, frozen ones until they
  require a gradient.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.autograd import Variable
from torch.nn.parameter import is_lazy

from gradscope.capture.parameters import Registry

_task: Callable[[], int] = torch._C._current_graph_task_id

EXPECTED = 64
"""Nameless parameters that are hooked; one that the pass reaches is enough."""


class Inbox:
    """Hooks on parameters, and what they have gathered since the last pass was taken out."""

    def __init__(self, registry: Registry, begins: Callable[[int], bool], ends: Callable[[], None]) -> None:
        self.registry = registry
        self.uids: list[int] = []
        self.waiting: set[int] = set()
        """Parameters that do not require a gradient yet."""
        self.task = -1
        self._tasks: set[int] = set()
        self._hook = _hook(self)
        self._begins = weakref.WeakMethod(begins)
        self._ends = weakref.WeakMethod(ends)
        self._handles: dict[int, tuple[weakref.ref[torch.Tensor], Any]] = {}
        self._lazy: dict[int, Any] = {}
        self._expected: list[Any] = []
        """Hooks on parameters that have no name yet: by them a pass is noticed, and the names are read then."""
        self._over = False

    # --- hooks -----------------------------------------------------------------------------------------------

    def expect(self, parameter: torch.Tensor) -> None:
        """A watched module is about to hold this parameter: a pass that reaches nothing else is one as well."""
        if self._over or len(self._expected) >= EXPECTED or not parameter.requires_grad or is_lazy(parameter):
            return
        if parameter.is_leaf and self.registry.uid(parameter) < 0:
            with contextlib.suppress(RuntimeError):  # a stand-in that takes no hooks
                self._expected.append(parameter.register_post_accumulate_grad_hook(_notice(self)))  # type: ignore[no-untyped-call]

    def attach(self, uids: Iterable[int]) -> list[int]:
        """Hook those that can be and are not yet; returns them."""
        fresh = []
        for uid in uids:
            tensor = self.registry.tensor(uid)
            if tensor is None or is_lazy(tensor) or not tensor.is_leaf:
                self.waiting.discard(uid)
                continue
            if not tensor.requires_grad:
                self.waiting.add(uid)
                continue
            self.waiting.discard(uid)
            known = self._handles.get(uid)
            if known is not None:
                if known[0]() is tensor:
                    continue
                known[1].remove()
            hook = functools.partial(self._hook, uid)
            handle = tensor.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
            self._handles[uid] = (weakref.ref(tensor), handle)
            fresh.append(uid)
        if fresh:
            self._expect_no_more()
        return fresh

    def _expect_no_more(self) -> None:
        for handle in self._expected:
            handle.remove()
        self._expected.clear()

    def wait_for_lazy(self, module: nn.Module) -> None:
        """Hook the lazy parameters of a model as soon as their module has run."""
        for part in module.modules():
            if id(part) not in self._lazy and any(is_lazy(p) for p in part.parameters(recurse=False)):
                self._lazy[id(part)] = part.register_forward_hook(_after_forward(self))

    def materialized(self, module: nn.Module) -> None:
        """A lazy module ran: its parameters are real now."""
        handle = self._lazy.pop(id(module), None)
        if handle is not None:
            handle.remove()
        self.attach([uid for p in module.parameters(recurse=False) if (uid := self.registry.uid(p)) >= 0])

    def detach(self) -> None:
        """Remove every hook."""
        self._over = True
        self._expect_no_more()
        for _, handle in self._handles.values():
            handle.remove()
        for handle in self._lazy.values():
            handle.remove()
        self._handles.clear()
        self._lazy.clear()

    # --- passes ----------------------------------------------------------------------------------------------

    def switch(self, task: int, uid: int = -1) -> None:
        """A gradient arrives from another engine task than the last one, of this parameter."""
        if task not in self._tasks:
            begins = self._begins()
            if begins is not None and begins(uid):
                self._queue()
            self._tasks.add(task)
        self.task = task

    def _queue(self) -> None:
        self.afterwards(self._ends)

    def afterwards(self, ends: Callable[[], None] | weakref.WeakMethod[Callable[[], None]]) -> None:
        """Call a method when the running pass is over, behind what is queued already."""
        weak = ends if isinstance(ends, weakref.WeakMethod) else weakref.WeakMethod(ends)

        def done() -> None:
            end = weak()
            if end is not None:
                end()

        Variable._execution_engine.queue_callback(done)

    def take(self) -> list[int]:
        """The uids of the pass that is over, in order of arrival."""
        uids, self.uids[:] = list(self.uids), []
        self.task = -1
        self._tasks.clear()
        return uids


def _hook(inbox: Inbox) -> Callable[[int, torch.Tensor], None]:
    """One function for all parameters: what the garbage collector has to look at per parameter is little."""
    add = inbox.uids.append

    def hook(uid: int, parameter: torch.Tensor) -> None:
        if _task() != inbox.task:
            inbox.switch(_task(), uid)
        # Now: it is called for a custom function that returned None, too; and a hook of the user's, called after it,
        # may step and free the gradient at once.
        if parameter.grad is not None:
            add(uid)

    return hook


def _notice(inbox: Inbox) -> Callable[[torch.Tensor], None]:
    def hook(_: torch.Tensor) -> None:
        if _task() != inbox.task:
            inbox.switch(_task())

    return hook


def _after_forward(inbox: Inbox) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, *_: Any) -> None:
        inbox.materialized(module)

    return hook
