"""Serial cuts: behind the cut that is told there may be another on the same way, which remains when it is mended."""

from __future__ import annotations

from collections.abc import Container

from gradscope.capture import operations
from gradscope.capture.tape import Op, Tape

_EXPLICIT = {"detach", "data", "item", "numpy", "new_tensor", "copied", "no_grad", "inference_mode"}
"""Causes that are written down in the source; whatever else makes no gradient may only have been given none."""


class Serial:
    """Answers for one tape."""

    def __init__(self, tape: Tape, down: list[list[tuple[int, bool]]], on_the_way: Container[int]) -> None:
        self.tape = tape
        self.down = down
        self.on_the_way = on_the_way
        """Values that a loss was computed from."""
        self._roots = {root.value for root in tape.roots}

    def behind(self, start: int) -> tuple[int, int] | None:
        """The first (value, child) at which every way of a value to a loss is cut again; None if one is open."""
        todo, seen = [start], {start}
        cuts: list[tuple[int, int]] = []
        while todo:
            value = todo.pop()
            if value in self._roots:
                return None
            for child, live in self.down[value]:
                if child in seen or child not in self.on_the_way:
                    continue
                op = self._maker(child)
                if op is None or self.tape.values[child].param >= 0:
                    return None
                if not live and op.cause in _EXPLICIT:
                    cuts.append((value, child))
                elif not live and op.name in operations.SELECTION:
                    continue
                else:
                    seen.add(child)
                    todo.append(child)
        return min(cuts, key=lambda pair: self.tape.values[pair[1]].op, default=None)

    def _maker(self, value: int) -> Op | None:
        index = self.tape.values[value].op
        return self.tape.ops[index] if index >= 0 else None
