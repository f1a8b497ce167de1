"""Shadows: parameters that others are copied to, or averaged into, and that no loss trains.

They are target networks, teachers and averages of weights: that only values go there is what they are for.
"""

from __future__ import annotations

from functools import cached_property

from gradscope.capture.losses import Losses
from gradscope.capture.tape import Tape

_MOST = 1_000


class Shadows:
    """Answers for one tape."""

    def __init__(self, tape: Tape, down: list[list[tuple[int, bool]]], losses: Losses) -> None:
        self._tape = tape
        self._down = down
        self._losses = losses

    def take(self, value: int, child: int) -> bool:
        """Whether what was read of a parameter itself comes to a loss only by being written to a shadow."""
        itself = self._tape.values[value].param >= 0
        return itself and child in self._losses.distance and child not in self._counting

    def receivers(self, value: int) -> frozenset[int]:
        """The parameters that a value is written to, as it is or computed with."""
        found: set[int] = set()
        todo, seen = [value], {value}
        while todo and len(seen) < _MOST:
            at = todo.pop()
            if self._tape.values[at].param >= 0:
                found.add(self._tape.values[at].param)
                continue
            fresh = [child for child, live in self._down[at] if not live and child not in seen]
            seen.update(fresh)
            todo.extend(fresh)
        return frozenset(found)

    @cached_property
    def _counting(self) -> set[int]:
        """Values that a loss is computed from, or that are written to what a loss trains."""
        trained = {self._tape.values[value].param for value in self._losses.live}
        distance, found = self._losses.distance, set[int]()
        for value in reversed(range(len(self._tape.values))):  # what is computed from others comes after them
            made = self._tape.values[value]
            if value not in distance:
                continue
            if made.param >= 0:
                counts = made.param in trained
            else:
                counts = made.requires or distance[value] == 0 or any(v in found for v, _ in self._down[value])
            if counts:
                found.add(value)
        return found
