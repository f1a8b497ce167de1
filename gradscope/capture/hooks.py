"""Watching: who received a gradient in which backward, and what each optimizer step did with it.

Always on and cheap: a hook on every parameter says who, one fused pass says how much, the global
optimizer hooks say what was applied. Absence is read off by comparing what an optimizer holds with what
arrived; a hook that does not fire proves nothing by itself.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.autograd import Variable
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gradscope.capture.events import Log
from gradscope.capture.norms import norms
from gradscope.capture.optimizers import OptimizerBook, Snapshot
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY, Stack, resolve, snapshot
from gradscope.errors import StopRun
from gradscope.records import Backward, Clear, OptimizerStep, Write


class Watcher:
    """Hooks on the parameters of a registry and on all optimizers, from attach() to detach()."""

    def __init__(self, registry: Registry, *, every: int = 1, discover: bool = False, limit: int | None = None) -> None:
        self.registry = registry
        self.log = Log()
        self.book = OptimizerBook(registry)
        self.every = every
        self.discover = discover
        self.limit = limit
        self.measure_updates = False
        self.on_step: list[Callable[[int], None]] = []
        self.before_optimizer: list[Callable[[Any, bool], None]] = []
        self.after_backward: list[Callable[[dict[int, torch.Tensor], int], None]] = []
        """Called with the gradients that a backward pass delivered, and the step."""
        self.unnamed: Callable[[Stack], None] | None = None
        """Called when parameters without a name turned up, so that they can be found in the user's frames."""
        self._handles: dict[int, Any] = {}
        self._global: list[Any] = []
        self._open: list[tuple[int, torch.Tensor]] | None = None
        self._open_stack = EMPTY
        self._bracket = False
        self._extra: dict[str, Any] = {}
        self._holding: set[int] = set()
        self._grads: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._grad_ids: dict[int, int] = {}
        self._stepped: set[int] = set()
        self._snapshot: Snapshot | None = None
        self._step_path = EMPTY
        self._step_norms: dict[int, float | None] = {}
        self._closed = False
        self.sees_clears = False
        """Tracing tells when gradients are cleared; without it that is read off the gradient's identity."""

    # --- lifetime --------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Put hooks on every registered parameter and on all optimizers."""
        self.attach_parameters(list(self.registry.entries))
        self._global = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]

    def attach_parameters(self, uids: Iterable[int]) -> None:
        for uid in uids:
            tensor = self.registry.tensor(uid)
            if tensor is None or not tensor.is_leaf or not tensor.requires_grad:
                continue
            known = self._handles.get(uid)
            if known is not None and known[0]() is tensor:
                continue
            me = weakref.ref(self)

            def hook(param: torch.Tensor, uid: int = uid, me: weakref.ref[Watcher] = me) -> None:
                watcher = me()
                if watcher is not None:
                    watcher._received(uid, param)

            self._handles[uid] = (weakref.ref(tensor), tensor.register_post_accumulate_grad_hook(hook))

    def detach(self) -> None:
        """Remove every hook."""
        self._closed = True
        self.finish_backward()
        for _, handle in self._handles.values():
            handle.remove()
        for handle in self._global:
            handle.remove()
        self._handles.clear()
        self._global.clear()
        self._grads.clear()

    # --- backward --------------------------------------------------------------------------------------------

    def begin_backward(self, stack: Stack, **extra: Any) -> None:
        """A traced backward starts: everything until end_backward() belongs to it."""
        self.finish_backward()
        self._bracket = True
        self._extra = extra
        self._open = []
        self._open_stack = stack

    def end_backward(self) -> None:
        self._bracket = False
        self.finish_backward()

    def _received(self, uid: int, param: torch.Tensor) -> None:
        try:
            if self._open is None:
                self._open = []
                self._open_stack = _backward_stack()
                self._extra = {}
                if not self._open_stack.has("checkpoint"):
                    Variable._execution_engine.queue_callback(self._engine_done)
            self._open.append((uid, param))
        except Exception as error:  # noqa: BLE001 - shields the user's backward
            self.failed("hooks", error)

    def _engine_done(self) -> None:
        if not self._bracket:
            self.finish_backward()

    def finish_backward(self) -> None:
        """Close the open backward pass: measure, log, tally."""
        if self._open is None:
            return
        received, stack, extra = self._open, self._open_stack, self._extra
        self._open, self._extra, self._bracket = None, {}, False
        try:
            self._log_backward(received, stack, extra)
        except Exception as error:  # noqa: BLE001 - shields the user's backward
            self.failed("hooks", error)

    def _log_backward(self, received: list[tuple[int, torch.Tensor]], stack: Stack, extra: dict[str, Any]) -> None:
        tensors = {uid: param.grad for uid, param in received if param.grad is not None}
        measured: dict[int, float | None] = dict.fromkeys(tensors)
        if self.log.backwards % self.every == 0:
            measured = dict(zip(tensors, norms([g for g in tensors.values() if g is not None]), strict=True))
        added = frozenset(uid for uid, grad in tensors.items() if grad is not None and self._was_added(uid, grad))
        self._holding.update(tensors)
        event = Backward(
            self.log.tick(), self.log.step, self.log.backwards, resolve(stack), measured, added,
            extra.get("root"), extra.get("connected"), extra.get("loss"),
        )  # fmt: skip
        self.log.append(event)
        self.log.delivered(measured)
        for probe in self.after_backward:
            probe({uid: grad for uid, grad in tensors.items() if grad is not None}, self.log.step)
        self.log.backwards += 1
        if self.log.backwards in (1, 2):
            self._look_around(stack)
        self.registry.training = True
        if self.unnamed is not None and any(not self.registry.entries[uid].owners for uid in tensors):
            self.unnamed(stack)

    def _was_added(self, uid: int, grad: torch.Tensor) -> bool:
        """Whether the gradient was there before this pass, so that the pass added to it."""
        before = self._grads.get(uid)
        self._grads[uid] = (weakref.ref(grad), grad._version)
        self._grad_ids[id(grad)] = uid
        if uid not in self._holding or before is None:
            return False
        same = before[0]() is grad
        return same if not self.sees_clears else True

    def uid_of_grad(self, tensor: torch.Tensor) -> int:
        """The parameter whose gradient a tensor is, or -1."""
        uid = self._grad_ids.get(id(tensor), -1)
        return uid if uid >= 0 and self._grads[uid][0]() is tensor else -1

    # --- clearing and writing --------------------------------------------------------------------------------

    def cleared(self, uids: Iterable[int], stack: Stack, *, to_none: bool) -> None:
        """Gradients were set to None or zero."""
        self.finish_backward()
        gone = frozenset(uid for uid in uids if uid in self._holding)
        if not gone:
            return
        self._holding -= gone
        path = resolve(stack)
        last = self.log.last()
        if isinstance(last, Clear) and last.path == path and last.to_none == to_none:
            self.log.replace_last(Clear(last.clock, last.step, last.parameters | gone, path, to_none))
        else:
            self.log.append(Clear(self.log.tick(), self.log.step, gone, path, to_none))

    def written(self, uids: Iterable[int], stack: Stack, what: str, by: str) -> None:
        """Gradients or values were written by hand."""
        self.finish_backward()
        touched = frozenset(uids)
        path = resolve(stack)
        last = self.log.last()
        if isinstance(last, Write) and last.path == path and last.what == what:
            self.log.replace_last(Write(last.clock, last.step, last.parameters | touched, path, what, by))
        elif touched:
            self.log.append(Write(self.log.tick(), self.log.step, touched, path, what, by))

    def assigned(self, uid: int, stack: Stack) -> None:
        """The user put a gradient into `.grad` by hand."""
        self._holding.add(uid)
        self.written([uid], stack, "grad", "assigned")

    # --- optimizer -------------------------------------------------------------------------------------------

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        stack = snapshot(sys._getframe(1))
        try:
            for probe in self.before_optimizer:
                probe(optimizer, len(args) > 1 or bool(kwargs.get("closure")))
            self._open_step(optimizer, stack)
        except StopRun:
            raise
        except Exception as error:  # noqa: BLE001 - shields the user's step
            self.failed("optimizer", error)

    def _open_step(self, optimizer: Any, stack: Stack) -> None:
        self.finish_backward()
        uid = self.book.see(optimizer, stack, only_known=not self.discover)
        if uid < 0:
            return
        if not self.book.known[uid].steps:
            self._look_around(stack)
        if self.discover:
            self.attach_parameters(self.book.uids(uid))
            if self.unnamed is not None and any(not self.registry.entries[u].owners for u in self.book.uids(uid)):
                self.unnamed(stack)
        if uid in self._stepped:
            self._next_step()
        self._step_path = stack
        self._step_norms = self._applied(optimizer)
        self._snapshot = Snapshot(optimizer, self.registry) if self._samples() else None

    def _look_around(self, stack: Stack) -> None:
        self.book.files |= dict.fromkeys(code.co_filename for code, _ in stack.frames)
        self.book.look_around(sys._getframe(1))

    def _samples(self) -> bool:
        return self.measure_updates or self.log.step < 3 or self.log.step % 50 == 0

    def _applied(self, optimizer: Any) -> dict[int, float | None]:
        tensors: dict[int, torch.Tensor] = {}
        for group in optimizer.param_groups:
            for param in group["params"]:
                uid = self.registry.uid(param)
                if uid >= 0 and param.grad is not None:
                    tensors[uid] = param.grad
        if not self.measure_updates:
            return dict.fromkeys(tensors)
        return dict(zip(tensors, norms(list(tensors.values())), strict=True))

    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        try:
            uid = self.book.uid(optimizer)
            if uid >= 0:
                self._log_step(uid, optimizer)
        except Exception as error:  # noqa: BLE001 - shields the user's step
            self.failed("optimizer", error)
        finally:
            for probe in self.before_optimizer:
                probe(None, False)

    def _log_step(self, uid: int, optimizer: Any) -> None:
        self._stepped.add(uid)
        taken, self._snapshot = self._snapshot, None
        norms_ = self._step_norms
        changes = taken.compare(norms_) if taken is not None else None
        held = self.book.uids(uid)
        event = OptimizerStep(
            self.log.tick(), self.log.step, self.log.optimizer_steps, uid, resolve(self._step_path), norms_,
            tuple(_number(group.get("lr")) for group in optimizer.param_groups),
            changes.ratios if changes else {}, changes.unchanged if changes else frozenset(),
            changes.moved if changes else frozenset(), changes.weights if changes else {},
        )  # fmt: skip
        self.log.append(event)
        self.log.optimizer_steps += 1
        self.book.stepped(uid)
        for param in held:
            self._tally_step(param, event, compared=changes is not None)

    def _tally_step(self, uid: int, event: OptimizerStep, *, compared: bool) -> None:
        count = self.log.count(uid)
        count.steps += 1
        tensor = self.registry.tensor(uid)
        if tensor is not None and tensor.requires_grad:
            count.trainable_steps += 1
        if uid not in event.norms:
            count.steps_none += 1
            count.none_streak += 1
            return
        count.none_streak = 0
        norm = event.norms[uid]
        if norm is None:
            norm = count.norm_last
        if norm is not None and norm - norm != 0.0:
            count.stepped_nonfinite += 1
        if compared:
            count.compared += 1
            count.unchanged += uid in event.unchanged
            count.ratio_last = event.ratios.get(uid, count.ratio_last)

    # --- steps -----------------------------------------------------------------------------------------------

    def _next_step(self) -> None:
        self._stepped.clear()
        step = self.log.step
        self.log.step += 1
        for callback in self.on_step:
            callback(step)
        if self.limit is not None and self.log.step >= self.limit:
            raise StopRun

    def next_step(self) -> None:
        """The user says that a turn of the loop is over."""
        self.finish_backward()
        self._stepped.clear()
        self._next_step()

    def failed(self, probe: str, error: Exception) -> None:
        """A probe failed: say so once, detach it, and let training go on."""
        from gradscope.capture.failure import warn_once

        warn_once(probe, error)
        self.detach()


def _backward_stack() -> Stack:
    """The stack that called backward; on a device's engine thread, that of the thread that waits for it."""
    stack = snapshot(sys._getframe(2))
    if stack.frames:
        return stack
    import threading

    main = sys._current_frames().get(threading.main_thread().ident or 0)
    return snapshot(main)


def _number(value: Any) -> float | None:
    return float(value) if value is not None else None
