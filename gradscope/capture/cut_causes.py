"""Causes of cuts: what one operation did to a gradient, and which line is to blame for it."""

from __future__ import annotations

import inspect

from gradscope.capture.custom import function_of
from gradscope.capture.grad_blocks import decorator_line, grad_off_line, wrapping_line
from gradscope.capture.operations import DEEPCOPY
from gradscope.capture.source import Stack
from gradscope.capture.tape import Op, Tape
from gradscope.records import DECORATED, DERIVATIVE, SAVE, WRAPPER, YIELDED
from gradscope.records.traced import CARRIED, STRAIGHT_THROUGH

_OFF = ("no_grad", "inference_mode")
_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_STEPS = {"add_", "sub_", "mul_", "lerp_", "addcmul_", "addcdiv_", "__iadd__", "__isub__", "__imul__"}
_SUMS, _DIFFERENCES = {"add", "__add__", "__radd__", "__iadd__", "add_"}, {"sub", "__sub__", "subtract"}
_COPIES = {"copy_", "clone", "cpu", "to", DEEPCOPY, SAVE}


def how_off(cause: str, op: Op | None) -> str:
    """How gradients were off for an operation, if not by a block around it."""
    if cause not in _OFF or op is None or not op.blame.frames:
        return ""
    code, lasti = op.blame.frames[0]
    if lasti == -1:
        return DECORATED if decorator_line(code) else WRAPPER
    managed = op.blame.has("contextlib")  # a @contextmanager, whose user's block is inside of its own
    left = code.co_flags & _GENERATOR and not managed and all(running is not code for running, _ in op.stack.frames)
    return YIELDED if left else ""


class CutCauses:
    """Answers for one tape."""

    def __init__(self, tape: Tape, down: list[list[tuple[int, bool]]]) -> None:
        self.tape = tape
        self.down = down

    def of(self, uid: int, value: int, child: int, op: Op) -> tuple[str, Stack]:
        """(cause, where) of the operation that made `child` of `value` without its gradient."""
        values = self.tape.values
        if values[value].param == uid and any(v == value and not r for v, r in op.inputs) and not op.cause:
            return "requires_grad_false", op.stack
        if op.stack.has("state_dict") and not self._is_copied(child):
            return "detach", op.stack
        if op.stack.has("deepcopy") or op.stack.has("state_dict") or op.stack.has("load_state_dict"):
            return "copied", op.stack
        if op.stack.has("stack_module_state") or (op.name == "copy_" and not self._into_scratch(op)):
            return "copied", op.stack
        if op.stack.has("function") and op.name in ("detach", "data", "numpy", "item", "tensor", "as_tensor"):
            return "custom_function", op.stack
        if op.cause in _OFF:
            if op.stack.has("checkpoint"):
                return "checkpoint", op.stack.above("checkpoint")
            if op.stack.has("function"):
                return "custom_function", function_of(op.stack)
            return op.cause, self.switch(op)
        if op.cause in ("detach", "data"):
            return self._left_torch(child, op.cause), op.stack
        if op.name == "__float__" and self._is_rebuilt(op):
            return "new_tensor", op.stack
        if op.name == DERIVATIVE:
            return "detach", op.stack
        return op.cause or "non_differentiable", op.stack

    def how_detached(self, op: Op | None, value: int, first: int) -> str:
        """What a detach() is there for, where that shows. `first`: the first backward pass, if it cut only before."""
        if op is None or op.cause != "detach":
            return ""
        frames = op.stack.frames[:1]
        if first >= 0 and any(o.cause == "detach" and o.stack.frames[:1] == frames for o in self.tape.ops[first:]):
            return CARRIED
        added = {v for child, _ in self.down[value] for v, _ in self._inputs_of(child, _SUMS)}
        taken = {v for source, _ in op.inputs for v, _ in self._inputs_of(source, _DIFFERENCES)[1:2]}
        return STRAIGHT_THROUGH if added & taken else ""

    def _inputs_of(self, value: int, names: set[str]) -> tuple[tuple[int, bool], ...]:
        """What a value was computed from, if by an operation of such a name."""
        made = self.tape.values[value].op
        return tuple(self.tape.ops[made].inputs) if made >= 0 and self.tape.ops[made].name in names else ()

    def carried(self, op: Op) -> tuple[str, Stack]:
        """(cause, where) of the operation that wrote a value into a parameter, from which it goes on.

        What computes with the parameter's own value (a step by hand) copies nothing: gradients are off for it.
        """
        if op.name in _STEPS and op.cause in _OFF:
            return op.cause, self.switch(op)
        return "copied", op.stack

    def _into_scratch(self, op: Op) -> bool:
        """Whether a copy was written, while gradients were off, into a tensor that was made while they were off."""
        made = self.tape.values[op.inputs[0][0]].op if op.inputs else -1
        return bool(op.cause) and made >= 0 and self.tape.ops[made].cause == op.cause in _OFF

    def _is_copied(self, value: int) -> bool:
        """Whether what a state_dict() gave goes into other tensors or files, and not into a computation as it is."""
        ops = [self.tape.ops[at] for child, _ in self.down[value] if (at := self.tape.values[child].op) >= 0]
        return not ops or any(op.name in _COPIES or op.stack.has("load_state_dict") for op in ops)

    def switch(self, op: Op) -> Stack:
        """Where gradients were off: seen, else read in the source, else the operation itself."""
        if op.blame.frames:
            code, lasti = op.blame.frames[0]
            if lasti != -1:
                return op.blame
            line = decorator_line(code)
            called = Stack(op.blame.frames[1:], op.blame.marks)
            if line or not called.frames:
                return Stack(((code, -line), *called.frames))
            return Stack((*wrapping_line(code).frames, *called.frames), called.marks)
        found = grad_off_line(op.stack)
        return found if found.frames else op.stack

    def _is_rebuilt(self, op: Op) -> bool:
        """Whether `torch.FloatTensor([...])` took a number: it asks the first for an integer, then all for floats."""
        at = op.index - 1
        while at > 0 and self.tape.ops[at].name == "__float__" and self.tape.ops[at].stack.frames == op.stack.frames:
            at -= 1
        return at >= 0 and self.tape.ops[at].name == "__index__" and self.tape.ops[at].stack.frames == op.stack.frames

    def _left_torch(self, value: int, cause: str) -> str:
        """A `detach()` written only to call `.numpy()` or `.item()` is that."""
        todo, causes = [value], set()
        for _ in range(6):
            following = [child for v in todo for child, _ in self.down[v]]
            if not following:
                break
            todo = []
            for child in following:
                op = self.tape.ops[self.tape.values[child].op] if self.tape.values[child].op >= 0 else None
                if op is not None and op.escape:
                    causes.add(op.cause)
                elif op is not None and op.name in ("cpu", "to", "float", "double", "contiguous", "squeeze", "detach"):
                    todo.append(child)
                else:
                    return cause
        return causes.pop() if len(causes) == 1 and "" not in causes else cause
