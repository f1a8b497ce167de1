"""Who received a gradient: one tiny hook per parameter, and which backward pass it belongs to.

* The hook notes who received which gradient, in its which version, while all of that is at hand: to look for it again
  when the pass is over costs several times as much. Everything else is done once per pass.
* The hooks hold this inbox, and the inbox holds the watcher weakly, so a forgotten scope is collected although torch
  keeps the hooks. Of gradients there are weak references only.
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
from typing import Any, Protocol

import torch
from torch import nn
from torch.autograd import Variable
from torch.nn.parameter import is_lazy

from gradscope.capture.left import Arrived, Reference
from gradscope.capture.parameters import Registry

_task: Callable[[], int] = torch._C._current_graph_task_id
_queue: Callable[[Callable[[], None]], None] = Variable._execution_engine.queue_callback
_ref = weakref.ref

EXPECTED = 64
"""Nameless parameters that are hooked; one that the pass reaches is enough."""


class Listener(Protocol):
    """Who is told of passes."""

    def begins(self, uid: int) -> bool:
        """The first gradient of an engine task arrives; returns whether the end of that task ends the pass."""

    def ends(self) -> None:
        """The pass is over."""


class Inbox:
    """Hooks on parameters, and what they have gathered since the last pass was taken out."""

    def __init__(self, registry: Registry, listener: Listener) -> None:
        self.registry = registry
        self._uids: list[int] = []
        self._marks: list[Reference | int] = []
        self._versions: list[int] = []
        self.light = False
        """Gradients of the running pass are noted by their ids."""
        self.doubly = False
        """The running pass builds a graph of itself."""
        self.waiting: set[int] = set()
        """Parameters that do not require a gradient yet."""
        self.task = -1
        self._tasks: set[int] = set()
        self._hook = _hook(self)
        self._listener = weakref.ref(listener)
        self._ends = _ends(self._listener)
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

    def thawed(self) -> list[int]:
        """Those of the waiting that require a gradient by now, or are gone."""
        tensors = [(uid, self.registry.entries[uid].ref()) for uid in self.waiting]
        return [uid for uid, tensor in tensors if tensor is None or tensor.requires_grad]

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
            listener = self._listener()
            if listener is not None and listener.begins(uid):
                _queue(self._ends)
            self._tasks.add(task)
        self.task = task

    def afterwards(self, method: Callable[[], None]) -> None:
        """Call a method when the running pass is over, behind what is queued already."""
        weak = weakref.WeakMethod(method)

        def call() -> None:
            found = weak()
            if found is not None:
                found()

        _queue(call)

    def take(self) -> Arrived:
        """What the pass that is over has brought."""
        uids, marks, versions = self._uids, self._marks, self._versions
        taken = Arrived(uids.copy(), marks.copy(), versions.copy(), self.light, self.doubly)
        uids.clear()
        marks.clear()
        versions.clear()
        self.task = -1
        self._tasks.clear()
        return taken


def _ends(listener: weakref.ref[Listener]) -> Callable[[], None]:
    def ends() -> None:
        found = listener()
        if found is not None:
            found.ends()

    return ends


def _hook(inbox: Inbox) -> Callable[[int, torch.Tensor], None]:
    """One function for all parameters: what the garbage collector has to look at per parameter is little."""
    add, mark, stamp = inbox._uids.append, inbox._marks.append, inbox._versions.append

    def hook(uid: int, parameter: torch.Tensor) -> None:
        if _task() != inbox.task:
            inbox.switch(_task(), uid)
        # Now: it is called for a custom function that returned None, too; and a hook of the user's, called after it,
        # may step and free the gradient at once.
        gradient = parameter.grad
        if gradient is not None:
            add(uid)
            mark(id(gradient) if inbox.light else _ref(gradient))
            stamp(gradient._version)

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
