"""What happened to each parameter, counted: while capture watches, and again from the facts.

Capture keeps exact tallies; `Recount` goes on where they were not written in time: the steps between the last snapshot
of a run file and the moment its process was killed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradscope.records import Arrivals, Backward, OptimizerStep, Tally
from gradscope.records.columns import Cohort, Column, is_measured
from gradscope.tallies.arrivals import Spread
from gradscope.tallies.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gradscope.records import Event, Optimizer, Parameter, Passes

ZERO = 2.0**-126
"""A norm below this is zero: no normal float32 number is as small, and many devices make such numbers zero."""
KEPT = 0.1
"""Share of an update that is left when the next step begins, up to which it counts as undone."""


@dataclass(slots=True)
class Count:
    """A Tally while it grows; the fields are those of `records.Tally`."""

    backwards: int = 0
    zero: int = 0
    nonfinite: int = 0
    measured: int = 0
    first_backward: int | None = None
    last_backward: int | None = None
    first_nonfinite: int | None = None
    first_nonfinite_step: int | None = None
    zero_streak: int = 0
    steps: int = 0
    steps_none: int = 0
    none_streak: int = 0
    trainable_steps: int = 0
    stepped_nonfinite: int = 0
    compared: int = 0
    unchanged: int = 0
    norm_max: float | None = None
    norm_last: float | None = None
    ratio_last: float | None = None

    @classmethod
    def since(cls, tally: Tally) -> Count:
        """What goes on counting from there."""
        return cls(**{name: getattr(tally, name) for name in Tally.__slots__})

    def delivered(self, backward: int, step: int, norm: float | None) -> None:
        """One backward pass left a gradient of this norm (None: not measured)."""
        self.backwards += 1
        self.first_backward = backward if self.first_backward is None else min(backward, self.first_backward)
        self.last_backward = backward if self.last_backward is None else max(backward, self.last_backward)
        if norm is None:
            return
        self.measured += 1
        self.norm_last = norm
        if not math.isfinite(norm):
            self.nonfinite += 1
            if self.first_nonfinite is None:
                self.first_nonfinite, self.first_nonfinite_step = backward, step
            return
        self.norm_max = norm if self.norm_max is None else max(norm, self.norm_max)
        if norm < ZERO:
            self.zero += 1
            self.zero_streak += 1
        else:
            self.zero_streak = 0

    def delivered_well(self, first: int, last: int, passes: int, norms: tuple[float, ...]) -> bool:
        """Many passes at once, some of them measured, if these norms are finite and none is zero; else none counts."""
        if norms:
            if min(norms) < ZERO or not math.isfinite(sum(norms)):
                return False
            largest = max(norms)
            self.measured += len(norms)
            self.norm_last = norms[-1]
            self.norm_max = largest if self.norm_max is None or largest > self.norm_max else self.norm_max
            self.zero_streak = 0
        self.backwards += passes
        self.first_backward = first if self.first_backward is None else min(first, self.first_backward)
        self.last_backward = last if self.last_backward is None else max(last, self.last_backward)
        return True

    def freeze(self) -> Tally:
        return Tally(**{name: getattr(self, name) for name in Tally.__slots__})


class Recount:
    """Tallies that go on counting; `tallies()` is where they stand."""

    def __init__(
        self,
        tallies: Mapping[int, Tally],
        parameters: Mapping[int, Parameter],
        optimizers: Iterable[Optimizer],
        lines: Iterable[Passes] = (),
        arrivals: Arrivals | None = None,
    ) -> None:
        self._before = tallies
        self._given = tuple(lines), arrivals or Arrivals()
        self._further: tuple[Lines, Spread] | None = None
        # Unfrozen copies: a new frozen Tally per parameter and event would take ten times as long.
        self._counts: dict[int, Count] = {}
        self._held = {optimizer.uid: optimizer.parameters for optimizer in optimizers}
        self._frozen = {uid for uid, parameter in parameters.items() if not parameter.trainable}

    def add(self, events: Iterable[Event]) -> None:
        """Count these further events."""
        for event in events:
            if isinstance(event, Backward):
                self._further = self._further or (Lines(self._given[0]), Spread(self._given[1]))
                lines, spread = self._further
                lines.add(event)
                if event.index == spread.passes:  # else a damaged file lacks some
                    cohort = event.norms.cohort if isinstance(event.norms, Column) else Cohort(event.norms)
                    spread.add(cohort, measured=is_measured(event.norms))
                for uid, norm in event.norms.items():
                    self._count(uid).delivered(event.index, event.step, norm)
            elif isinstance(event, OptimizerStep):
                for uid in self._held.get(event.optimizer, tuple(event.norms)):
                    _count_step(self._count(uid), event, uid, trainable=uid not in self._frozen)

    def tallies(self) -> dict[int, Tally]:
        """Per parameter, everything counted so far."""
        return {**self._before, **{uid: count.freeze() for uid, count in self._counts.items()}}

    def lines(self) -> tuple[Passes, ...]:
        """Per line that ran backward passes, how many and what they reached."""
        return self._further[0].freeze() if self._further else self._given[0]

    def arrivals(self) -> Arrivals:
        """Which parameters were reached when, up to the first pass that is missing."""
        return self._further[1].freeze() if self._further else self._given[1]

    def _count(self, uid: int) -> Count:
        count = self._counts.get(uid)
        if count is None:
            count = self._counts[uid] = Count.since(self._before.get(uid, _ZERO))
        return count


_ZERO = Tally()


def _count_step(count: Count, event: OptimizerStep, uid: int, *, trainable: bool) -> None:
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
