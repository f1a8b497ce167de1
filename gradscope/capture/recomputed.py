"""Inside a reentrant checkpoint: it runs first without gradients and again, with them, on the way back.

What cuts inside of it cuts in that second run, which nobody traces. But both compute the same, so the first one tells
where: an operation that would cut with gradients on, or a block of the user's own that switches them off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import cached_property

from gradscope.capture.candidates import Frames
from gradscope.capture.grad_blocks import grad_off_line
from gradscope.capture.operations import own_cause
from gradscope.capture.source import Stack
from gradscope.capture.tape import Op, Tape

_MARK = "checkpoint"


class Recomputed:
    """Answers for one tape."""

    def __init__(self, tape: Tape, down: list[list[tuple[int, bool]]]) -> None:
        self.tape = tape
        self.down = down

    def cut(self, value: int) -> tuple[str, Stack, Op, int] | None:
        """(cause, where, operation, value) that cuts on the way from a value in a checkpoint whose result has a graph.

        None where the checkpoint itself is to blame, or nothing inside it is.
        """
        for at in self._inside(value):
            op = self.tape.ops[self.tape.values[at].op]
            if op.stack.above(_MARK).frames not in self.alive:
                return None
            cause, stack = self._own(op, at)
            if cause:
                return cause, stack, op, at
        return None

    def dropped(self, value: int) -> Op | None:
        """The last operation in a checkpoint on a value, if nothing outside of it reads what became of that."""
        inside = list(self._inside(value))
        within = set(inside)
        ops = [self.tape.ops[self.tape.values[at].op] for at in inside]
        leads_out = any(child not in within for at in inside for child, _ in self.down[at])
        return None if not ops or leads_out or any(op.escape for op in ops) else ops[-1]

    def _inside(self, value: int) -> Iterable[int]:
        """This value and all that the checkpoint computed from it, in that order."""
        todo, seen = deque([value]), {value}
        while todo:
            at = todo.popleft()
            if (made := self.tape.values[at].op) < 0 or not self.tape.ops[made].stack.has(_MARK):
                continue
            yield at
            fresh = sorted({child for child, _ in self.down[at]} - seen)
            seen.update(fresh)
            todo.extend(fresh)

    @cached_property
    def alive(self) -> set[Frames]:
        """The calls of checkpoints to whose result autograd gave a history: for these a gradient comes back."""
        values = (
            made for made in self.tape.values if made.op >= 0 and made.requires and any(r for _, r in made.parents)
        )
        stacks = (self.tape.ops[made.op].stack for made in values)
        return {stack.above(_MARK).frames for stack in stacks if stack.has(_MARK)}

    def _own(self, op: Op, value: int) -> tuple[str, Stack]:
        """What this operation would be blamed for in the second run; nothing if a gradient passes there."""
        inner = min(depth for mark, depth in op.stack.marks if mark == _MARK)
        block = grad_off_line(Stack(op.stack.frames[:inner]))
        if block.frames:
            return "no_grad", Stack((*block.frames, *op.stack.frames[inner:]))
        if cause := own_cause(op.name):
            return cause, op.stack
        return ("" if self.tape.values[value].floating else "non_differentiable"), op.stack
