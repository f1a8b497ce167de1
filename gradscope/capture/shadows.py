"""Shadows: parameters that others are copied to, or averaged into, and that no loss trains.

They are target networks, teachers and averages of weights: that only values go there is what they are for.
"""

from __future__ import annotations

from collections.abc import Container

from gradscope.capture.losses import Losses
from gradscope.capture.tape import Tape

_MOST = 1_000


class Shadows:
    """Answers for one tape."""

    def __init__(self, tape: Tape, down: list[list[tuple[int, bool]]], losses: Losses) -> None:
        self._tape = tape
        self._down = down
        self._losses = losses
        self._trained: dict[int, bool] = {}

    def take(self, value: int, child: int) -> bool:
        """Whether what was read of a parameter itself comes to a loss only by being written to a shadow."""
        if self._tape.values[value].param < 0:
            return False
        on_the_way: Container[int] = self._losses.distance
        written = False
        todo, seen = [child], {child}
        while todo and len(seen) < _MOST:
            at = todo.pop()
            made = self._tape.values[at]
            if made.param >= 0:
                if self._is_trained(made.param):
                    return False
                written = True
                continue
            if made.requires or self._losses.distance.get(at) == 0:
                return False
            fresh = [v for v, _ in self._down[at] if v in on_the_way and v not in seen]
            seen.update(fresh)
            todo.extend(fresh)
        return written and not todo

    def _is_trained(self, uid: int) -> bool:
        """Whether a loss sends a gradient to it."""
        if uid not in self._trained:
            self._trained[uid] = any(version in self._losses.live for version in self._tape.params.get(uid, ()))
        return self._trained[uid]
