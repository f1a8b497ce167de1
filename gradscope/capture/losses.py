"""Losses: how far each value is from one, and which of them a parameter's own optimizer learns from."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterable
from functools import cached_property

from gradscope.capture.tape import Root, Tape


class Losses:
    """The losses of a tape, and for each parameter those backpropagated right before its optimizer stepped."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._distances: dict[frozenset[int], dict[int, int]] = {}
        self._own: dict[int, dict[int, int]] = {}
        self.distance = self._measured(tape.roots)
        """Per value on the way to some loss: how many operations away from it."""
        self._at = [root.op for root in tape.roots]
        self._of: dict[frozenset[int], list[Root]] = {}
        for number, held in enumerate(tape.held):
            self._of.setdefault(held, []).extend(self._before(number))

    @cached_property
    def live(self) -> set[int]:
        """Values to which a loss sends a gradient."""
        todo = [root.value for root in self._tape.roots if root.value >= 0]
        found = set(todo)
        while todo:
            new = {parent for parent, live in self._tape.values[todo.pop()].parents if live} - found
            found |= new
            todo.extend(new)
        return found

    def _before(self, step: int) -> list[Root]:
        """Since the step before; where several optimizers step in a row, since the one before the first of them."""
        ends = bisect.bisect_right(self._at, self._tape.steps[step])
        for earlier in range(step - 1, -2, -1):
            begins = bisect.bisect_right(self._at, self._tape.steps[earlier]) if earlier >= 0 else 0
            if begins < ends:
                return self._tape.roots[begins:ends]
        return []

    def own(self, uid: int) -> dict[int, int]:
        """Per value on the way to a loss of the parameter's own: how far away it is. Empty if none is known."""
        if uid not in self._own:
            self._own[uid] = self._to_own(uid)
        return self._own[uid]

    def _to_own(self, uid: int) -> dict[int, int]:
        roots = [root for held, roots in self._of.items() if uid in held for root in roots]
        key = frozenset(root.value for root in roots)
        if key not in self._distances:
            self._distances[key] = self._measured(roots)
        return self._distances[key]

    def _measured(self, roots: Iterable[Root]) -> dict[int, int]:
        distance = {root.value: 0 for root in roots if root.value >= 0}
        todo = deque(distance)
        while todo:
            value = todo.popleft()
            for parent, _ in self._tape.values[value].parents:
                if parent not in distance:
                    distance[parent] = distance[value] + 1
                    todo.append(parent)
        return distance
