"""Lineage: follow every tensor through a traced step, with and without its gradient.

A TorchFunctionMode sees each torch call of the thread and writes it on the tape. It calls the function
unchanged, and itself computes nothing but reductions of detached outputs (to see NaN and Inf), so that
results, gradients and random numbers are those of an untraced run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gradscope.capture import operations
from gradscope.capture.bad_data import note_bad_data
from gradscope.capture.births import explain_birth
from gradscope.capture.borrowed import Borrowed
from gradscope.capture.constants import is_constant
from gradscope.capture.listener import Listener
from gradscope.capture.operations import Kind, classify
from gradscope.capture.overwrites import region_of
from gradscope.capture.own_steps import OwnStep
from gradscope.capture.parameters import Registry
from gradscope.capture.saved import READER, WRITER, Saved
from gradscope.capture.source import EMPTY, Stack, snapshot
from gradscope.capture.switches import Switches
from gradscope.capture.tape import Op, Tape
from gradscope.capture.tensors import has_float, has_position, only_described, sequence, tensors_in
from gradscope.capture.threads import Mode, here, leave_soon, rest
from gradscope.capture.values import Values
from gradscope.capture.wrapping import Wrapping

_NUMBERS = ("item", "non_differentiable")
"""Causes of what makes a Python number of a tensor."""
_POSITIONS = ("__getitem__", "narrow", "select", "roll")

FAILURES = 20
"""Operations that may fail to be written down before tracing stops."""


class Tracer(Mode):
    """Writes torch calls on a tape while it is entered."""

    def __init__(self, tape: Tape, registry: Registry, listener: Listener) -> None:
        super().__init__()
        self.tape = tape
        self.registry = registry
        self.listener = listener
        self.wrapping = Wrapping()
        self.values = Values(tape, registry, listener, self.wrapping.line_of)
        registry.on_add = self.values.adopt
        self.saved = Saved(tape)
        self.active = True
        self.thread = here()
        """Whose calls are written down; on the stack of another the mode only rests."""
        self._within = False
        self.modules: list[int] = []
        self.turns: list[int] = []
        """The modules that are running, and which call of any module that is."""
        self.hook_lines: dict[int, Stack] = {}
        """Per uid: where the user put a hook on its gradient."""
        self._kinds: dict[Any, Kind] = {}
        self._borrowed = Borrowed()
        self._switches = Switches()
        self._pid = os.getpid()
        self._failures = 0
        self.in_optimizer = False
        self.own_step: OwnStep | None = None
        """Of an optimizer that torch did not write: looks at the step under way."""

    def retire(self) -> None:
        """See nothing more."""
        super().retire()
        self.active, self.registry.on_add = False, None
        self.wrapping.undo()

    def move_here(self) -> bool:
        """See the calls of this thread from here on; not while one of another thread is being written down."""
        before, self.thread = self.thread, here()
        if self._within or not rest(self):
            self.thread = before
            return False
        self._switches, self.in_optimizer = Switches(), False
        return True

    def see(self, tensor: torch.Tensor, stack: Stack) -> int:
        """The value of a tensor that is being read."""
        return self.values.see(tensor, stack)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.retired or self.thread != here():
            if self.retired:
                leave_soon(self)
            return self._call(sys._getframe(1), func, args, kwargs)
        if not self.active or self.in_optimizer or only_described():
            own = self.own_step if self.active and self.in_optimizer else None
            return func(*args, **kwargs) if own is None else own.run(sys._getframe(1), func, args, kwargs)
        try:
            kind = self._kinds[func]
        except KeyError:
            kind = self._kinds[func] = classify(func)
        if kind.action == operations.SKIP:
            if kind.name == "is_leaf":
                self._guard(self._see_optimizer, sys._getframe(1))
            elif kind.name == "storage_offset" and sys._getframe(1).f_code.co_name == WRITER:
                self._guard(lambda frame: self.saved.wrote(args[0], snapshot(frame)), sys._getframe(1))
            return self._call(sys._getframe(1), func, args, kwargs)
        if os.getpid() != self._pid:
            self.active = False
            return func(*args, **kwargs)
        if kind.action == operations.PLAIN or kind.action == operations.ESCAPE:
            return self._run(kind, func, args, kwargs)
        return self._run_special(kind, func, args, kwargs)

    # --- operations that make tensors ------------------------------------------------------------------------

    def _call(self, frame: Any, func: Any, args: Any, kwargs: Any) -> Any:
        return self._borrowed.caller(frame)(func, args, kwargs)

    def _run(self, kind: Kind, func: Any, args: Any, kwargs: Any) -> Any:
        frame = sys._getframe(2)
        op = self._guard(self._before, kind, args, kwargs, frame)
        result = self._call(frame, func, args, kwargs)
        if op is not None:
            self._guard(self._after, op, kind, args, result)
        return result

    def _before(self, kind: Kind, args: Any, kwargs: Any, frame: Any) -> Op | None:
        tensors = list(tensors_in(args[:1] if kind.name == operations.DEEPCOPY else args))  # not those of its memo
        if kwargs:
            tensors.extend(tensors_in(kwargs))
        stack = snapshot(frame)
        if stack.inside("optimizer"):
            return None
        if tensors and (kind.inplace or kind.name.startswith("_foreach_")) and self.listener.is_grad(tensors[0]):
            self._grad_write(kind, tensors, stack)
            return None
        if stack.marks and (stack.has("print") or stack.has("module_to")):
            return None
        inputs = tuple([(self.values.see(tensor, stack), tensor.requires_grad) for tensor in tensors])
        if any(self.tape.values[v].bad for v, _ in inputs):
            note_bad_data(self.tape, frame, tensors, tuple([v for v, _ in inputs]))
        op = Op(len(self.tape.ops), kind.name, stack, inputs)
        op.scalars = (
            has_float(args)
            or (kind.name in _POSITIONS and has_position(args[1:]))
            or (bool(kwargs) and has_float(tuple(kwargs.values())))
        )
        if self.modules:
            op.module, op.call = self.modules[-1], self.turns[-1]
        op.summed = bool(kwargs) and (kwargs.get("reduction") == "sum" or kwargs.get("size_average") is False)
        op.escape = kind.action == operations.ESCAPE
        op.region = region_of(kind.name, args) if kind.inplace else None
        if not torch.is_grad_enabled():
            op.blame = self._switches.off
            inference = torch.is_inference_mode_enabled() and not op.blame.frames
            op.cause = "inference_mode" if inference else "no_grad"
        self.tape.ops.append(op)
        self.tape.note_nodes(sequence(), op.index)
        return op

    def _after(self, op: Op, kind: Kind, args: Any, result: Any) -> None:
        if op.escape:
            op.cause = kind.cause if not op.cause or kind.cause not in _NUMBERS else op.cause
            self.values.array(op, result)
            return
        made = (args[0],) if result is None and kind.inplace and args else (result,)
        outputs = [self.values.output(op, kind, tensor) for tensor in tensors_in(made)]
        op.outputs = tuple(outputs)
        if kind.name in ("data", "detach") and isinstance(args[0], torch.Tensor):
            self.values.handed_on(args[0])
        if not op.cause:
            op.cause = kind.cause
        if outputs and is_constant(self.tape, op, args, made[0]):
            self.tape.constant.add(op.index)
        if any(self.tape.values[v].bad for v in outputs):
            explain_birth(self.tape, op, args)
        target = args[0] if args else result  # torch.nn.init hands all by keyword, and returns what it wrote to
        if kind.inplace and isinstance(target, torch.Tensor):
            self.values.alias_write(op, kind, target, op.inputs[1:])
        elif kind.inplace and isinstance(target, (list, tuple)):  # torch._foreach_*_
            for at, tensor in enumerate(target):
                self.values.alias_write(op, kind, tensor, op.inputs[at + len(target) :: len(target)])

    # --- everything else -------------------------------------------------------------------------------------

    def _run_special(self, kind: Kind, func: Any, args: Any, kwargs: Any) -> Any:
        frame = sys._getframe(2)
        if kind.action == "backward":
            return self.listener.backward(func, args, kwargs, snapshot(frame))
        if kind.action == "grad_mode":
            self._guard(self._switches.seen, bool(args[0]), frame)
            return func(*args, **kwargs)
        if kind.action == "autograd_grad":
            return self._run(Kind("autograd.grad", operations.PLAIN), func, args, kwargs)
        if kind.action == "set_data":
            return self._set_data(func, args, kwargs, frame)
        self._guard(self._note, kind, args, kwargs, snapshot(frame))
        result = func(*args, **kwargs)
        if kind.action == "set_requires_grad" and frame.f_code.co_name == READER:
            self._guard(self.saved.read, args[0], snapshot(frame))
        return result

    def _note(self, kind: Kind, args: Any, kwargs: Any, stack: Stack) -> None:
        target = args[0]
        uid = self.registry.uid(target)
        if kind.action == "set_grad":
            if args[1] is None:
                self.listener.cleared(target, stack, to_none=True)
            elif not stack.has("module_to"):
                self.listener.grad_assigned(target, stack)
        elif kind.action == "register_hook":
            if uid >= 0:
                self.hook_lines[uid] = stack
            else:
                self.tape.hooked[self.values.see(target, stack)] = stack
        elif kind.action in ("set_requires_grad", "requires_grad_"):
            wanted = args[1] if len(args) > 1 else kwargs.get("requires_grad", True)
            if isinstance(target, nn.Parameter):
                entry = self.registry.entries[self.registry.add(target)]
                entry.trainable = bool(wanted)
                if wanted:
                    entry.thaws += not target.requires_grad
                    entry.thawed = entry.thawed or not target.requires_grad
                    entry.frozen_at = EMPTY
                elif not stack.has("deepcopy"):
                    self.registry.freezes += 1
                    entry.freezes += 1
                    entry.frozen_by = stack
                    entry.frozen_at, entry.frozen_clock = stack, self.registry.freezes

    def _set_data(self, func: Any, args: Any, kwargs: Any, frame: Any) -> Any:
        stack = snapshot(frame)
        target, source = args[0], args[1]
        result = func(*args, **kwargs)
        uid = self.registry.uid(target)
        if uid >= 0 and not stack.has("module_to"):
            self._guard(self._data_was_set, uid, target, source, stack)
        elif isinstance(target, nn.Parameter):
            self._guard(self._was_moved, target, source, stack)
        elif isinstance(source, torch.Tensor):
            self._guard(self._values_taken, target, source, stack)
        return result

    def _values_taken(self, target: torch.Tensor, source: torch.Tensor, stack: Stack) -> None:
        op = Op(
            len(self.tape.ops), "data", stack, ((self.values.see(source, stack), source.requires_grad),), cause="data"
        )
        self.tape.ops.append(op)
        op.outputs = (self.values.output(op, Kind("data", operations.PLAIN, "data"), target),)

    def _was_moved(self, target: nn.Parameter, source: torch.Tensor, stack: Stack) -> None:
        entry = self.registry.entries[self.registry.add(target)]
        entry.cast_at, entry.dtype = stack, str(source.dtype).removeprefix("torch.")

    def _data_was_set(self, uid: int, target: torch.Tensor, source: torch.Tensor, stack: Stack) -> None:
        op = Op(len(self.tape.ops), "data", stack, ((self.values.see(source, stack), source.requires_grad),))
        op.cause = "data"
        self.tape.ops.append(op)
        self.values.wrote(uid, op, "data")
        self.values.new_version(uid, target, op, (op.inputs[0][0],))

    def _grad_write(self, kind: Kind, tensors: list[torch.Tensor], stack: Stack) -> None:
        if kind.name in ("zero_", "_foreach_zero_"):
            for tensor in tensors:
                self.listener.cleared(tensor, stack, to_none=False)
            return
        marks = [m for m, _ in stack.marks if m in ("clip_grad_norm_", "clip_grad_value_", "unscale_")]
        self.listener.grads_written(tensors, stack, marks[0] if marks else kind.name)

    def _see_optimizer(self, frame: Any) -> None:
        if frame.f_code.co_name == "add_param_group" and "self" in frame.f_locals:
            self.listener.optimizer_built(frame.f_locals["self"], snapshot(frame))

    def _guard(self, probe: Callable[..., Any], *args: Any) -> Any:
        """Run a piece of our own; what fails is left out, and after some failures tracing stops.

        An operation that was left out is no wrong link: its result counts as coming from elsewhere.
        """
        self._within = True
        try:
            if self.thread != here():  # tracing has just moved away
                return None
            if self.tape.full:
                self.active = False
                self.listener.blinded()
                return None
            return probe(*args)
        except Exception as error:  # noqa: BLE001 - the one place that shields the training from this probe
            self._failures += 1
            self.active = self._failures < FAILURES
            self.listener.failed("lineage", error)
            return None
        finally:
            self._within = False
