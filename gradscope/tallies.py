"""Events to tallies: what happened to each parameter, counted again from the facts.

Capture keeps exact tallies while it watches; this recounts them where those were not written in time: the steps between
the last snapshot of a run file and the moment its process was killed.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from gradscope.records import Backward, Location, OptimizerStep, Passes, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gradscope.records import Event, Optimizer, Parameter

_NAMES = tuple(f.name for f in fields(Tally))


class Recount:
    """Tallies that go on counting; `tallies()` is where they stand."""

    def __init__(
        self,
        tallies: Mapping[int, Tally],
        parameters: Mapping[int, Parameter],
        optimizers: Iterable[Optimizer],
        lines: Iterable[Passes] = (),
    ) -> None:
        self._before = tallies
        self._given = tuple(lines)
        self._lines: dict[Location | None, tuple[int, set[int]]] = {}
        # Unfrozen copies: a new frozen Tally per parameter and event would take ten times as long.
        self._counts: dict[int, Any] = {}
        self._held = {optimizer.uid: optimizer.parameters for optimizer in optimizers}
        self._frozen = {uid for uid, parameter in parameters.items() if not parameter.trainable}

    def add(self, events: Iterable[Event]) -> None:
        """Count these further events."""
        for event in events:
            if isinstance(event, Backward):
                if not self._lines:
                    self._lines = {line.location: (line.count, set(line.reached)) for line in self._given}
                count, reached = self._lines.get(event.location, (0, set()))
                reached.update(event.norms)
                self._lines[event.location] = (count + 1, reached)
                for uid, norm in event.norms.items():
                    _count_backward(self._count(uid), event, norm)
            elif isinstance(event, OptimizerStep):
                for uid in self._held.get(event.optimizer, tuple(event.norms)):
                    _count_step(self._count(uid), event, uid, uid not in self._frozen)

    def tallies(self) -> dict[int, Tally]:
        """Per parameter, everything counted so far."""
        return {**self._before, **{uid: Tally(**vars(count)) for uid, count in self._counts.items()}}

    def lines(self) -> tuple[Passes, ...]:
        """Per line that ran backward passes, how many and what they reached."""
        counted = tuple(Passes(at, count, frozenset(reached)) for at, (count, reached) in self._lines.items())
        return counted or self._given

    def _count(self, uid: int) -> Any:
        count = self._counts.get(uid)
        if count is None:
            count = self._counts[uid] = _Count()
            before = self._before.get(uid, _ZERO)
            for name in _NAMES:
                setattr(count, name, getattr(before, name))
        return count


class _Count:
    """A Tally that can be written to."""


_ZERO = Tally()


def _count_backward(count: Any, event: Backward, norm: float | None) -> None:
    index = event.index
    count.backwards += 1
    count.last_backward = index
    if count.first_backward is None:
        count.first_backward = index
    if norm is None:
        return
    count.measured += 1
    count.norm_last = norm
    if norm == 0.0:
        count.zero += 1
        count.zero_streak += 1
    else:
        count.zero_streak = 0
    if math.isfinite(norm):
        count.norm_max = norm if count.norm_max is None else max(norm, count.norm_max)
    else:
        count.nonfinite += 1
        if count.first_nonfinite is None:
            count.first_nonfinite = index
            count.first_nonfinite_step = event.step


def _count_step(count: Any, event: OptimizerStep, uid: int, trainable: bool) -> None:
    count.steps += 1
    count.trainable_steps += trainable
    if uid in event.norms:
        count.none_streak = 0
        norm = event.norms[uid]
        count.stepped_nonfinite += norm is not None and not math.isfinite(norm)
    else:
        count.steps_none += 1
        count.none_streak += 1
    if uid in event.ratios:
        count.ratio_last = event.ratios[uid]
    count.compared += uid in event.ratios or uid in event.unchanged
    count.unchanged += uid in event.unchanged
