"""Returns: values that left torch as numbers or arrays and came back into a loss as constants."""

from __future__ import annotations

from collections.abc import Container

from gradscope.capture.source import Stack
from gradscope.capture.statements import Taint, taint_of
from gradscope.capture.tape import Op, Tape


class Returns:
    """Follows values outside torch by the names the user's source gives them."""

    def __init__(self, tape: Tape, down: list[list[tuple[int, bool]]], on_the_way: Container[int]) -> None:
        self.tape = tape
        self.down = down
        self.distance = on_the_way
        """Values that a loss was computed from."""
        self._taints: dict[Stack, Taint] = {}

    def does(self, start: int) -> bool:
        """Whether a value left torch below `start` and its name is used again in making a loss."""
        return any(self._made_with(self.taint(op.stack), op.index) for op in self.escapes(start))

    def escapes(self, start: int) -> list[Op]:
        """Operations below a value that took it out of torch."""
        found, todo, seen = [], [start], {start}
        while todo and len(seen) < 2000:
            value = todo.pop()
            index = self.tape.values[value].op
            if index >= 0 and self.tape.ops[index].escape:
                found.append(self.tape.ops[index])
            for child, _ in self.down[value]:
                if child not in seen and not self.tape.values[child].requires:
                    seen.add(child)
                    todo.append(child)
        return found

    def taint(self, stack: Stack) -> Taint:
        """Where the source uses what the statement at the bottom of a stack computed."""
        if stack not in self._taints:
            self._taints[stack] = taint_of(stack)
        return self._taints[stack]

    def _made_with(self, taint: Taint, after: int) -> bool:
        for op in self.tape.ops[after + 1 :]:
            if not any(v in self.distance for v in op.outputs):
                continue
            foreign = op.scalars or any(
                self.tape.values[v].op < 0 and not self.tape.values[v].parents and self.tape.values[v].param < 0
                for v, _ in op.inputs
            )
            if foreign and taint.marks(op.stack):
                return True
        return False
