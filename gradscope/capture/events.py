"""The log of events and the running tallies: bounded memory however long the run, cheap however many parameters.

The usual step does to the same parameters what the step before did. Such repetitions are only noted, and counted per
parameter when something changes, when some have gathered, or when a number is asked for.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from gradscope.capture.rows import Row, together
from gradscope.capture.sample import Sample, Samples
from gradscope.records import Arrivals, Backward, Clear, Event, OptimizerStep, Passes, Tally
from gradscope.records.columns import Column, is_measured
from gradscope.tallies import Count
from gradscope.tallies.arrivals import Spread
from gradscope.tallies.lines import Lines

HEAD, TAIL = 400, 400
"""Events kept from the beginning and from the end of a run."""
BETWEEN = 400
"""Backward passes, and as many optimizer steps, kept as a sample of what lies between."""
NUMBERS = 1_000_000
"""... or fewer, so that each half keeps about this many norms: 8 MB."""
ROWS = 64
"""Backward passes that are counted at once, and events that are filed at once: between two steps of a training all of
our code has to be fetched from memory again, which takes longer than running it."""


@dataclass(frozen=True, slots=True, eq=False)
class StepKind:
    """What the steps of one optimizer that are counted together have in common."""

    held: tuple[int, ...]
    present: frozenset[int]
    """Those with a gradient."""
    trainable: frozenset[int]


@dataclass(eq=False)
class Log:
    """Events in order, the oldest and the newest kept, a sample of the others, and a Count per parameter."""

    clock: int = 0
    step: int = 0
    backwards: int = 0
    optimizer_steps: int = 0
    bad: frozenset[int] = frozenset()
    """Parameters whose last measured gradient is NaN or Inf."""
    _counts: dict[int, Count] = field(default_factory=dict)
    _new: list[Event | tuple[type[Event], tuple[Any, ...]]] = field(default_factory=list)
    """The newest, which are not filed yet, and some of them not made."""
    _head: list[Event] = field(default_factory=list)
    _tail: deque[Event] = field(default_factory=deque)
    _head_numbers: int = 0
    _tail_numbers: int = 0
    _lines: Lines = field(default_factory=Lines)
    _spread: Spread = field(default_factory=Spread)
    _passes: Samples[Event] = field(default_factory=lambda: Samples(_numbers, BETWEEN, NUMBERS))
    """Those that were measured per line, and all others."""
    _updates: Sample[Event] = field(default_factory=lambda: Sample(_numbers, BETWEEN, NUMBERS))
    _widened: Clear | None = None
    _wide: set[int] = field(default_factory=set)
    _rows: list[Row] = field(default_factory=list)
    _steps: dict[int, tuple[StepKind, int]] = field(default_factory=dict)

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    # --- events ----------------------------------------------------------------------------------------------

    def append(self, event: Event) -> None:
        if self._widened is not None:
            self._narrow()
        self._new.append(event)
        if len(self._new) >= ROWS:
            self._file()

    def note(self, kind: type[Event], *fields: Any) -> None:
        """Append an event that is made when somebody asks for it."""
        if self._widened is not None:
            self._narrow()
        self._new.append((kind, fields))
        if len(self._new) >= ROWS:
            self._file()

    def _file(self) -> None:
        """Put the new events to the others, and those that nobody keeps out."""
        self._narrow()
        new, self._new = self._new, []
        for event in map(_made, new):
            if isinstance(event, Backward):
                self._lines.add(event)
            size = _numbers(event)
            if not self._tail and len(self._head) < HEAD and self._head_numbers + size <= NUMBERS:
                self._head.append(event)
                self._head_numbers += size
                continue
            self._tail.append(event)
            self._tail_numbers += size
            self._let_go()

    def _let_go(self) -> None:
        while len(self._tail) > 1 and (len(self._tail) > TAIL or self._tail_numbers > NUMBERS):
            event = self._tail.popleft()
            self._tail_numbers -= _numbers(event)
            if isinstance(event, Backward):
                kind = event.location if is_measured(event.norms) else "not measured"
                self._passes.add(kind, event.index, event)
            elif isinstance(event, OptimizerStep) and event.ratios:
                self._updates.add(event.step, event)

    def replace_last(self, event: Event) -> None:
        self._put(event, self._new or self._tail or self._head, -1)

    def _put(self, event: Event, events: Any, place: int) -> None:
        """Put an event in the place of one in the head or the tail, or among the new ones."""
        if events is not self._new:
            more = _numbers(event) - _numbers(events[place])
            self._tail_numbers += more * (events is self._tail)
            self._head_numbers += more * (events is self._head)
        events[place] = event

    def widen(self, event: Clear, more: frozenset[int]) -> None:
        """Gradients are cleared one by one: add some to the last event, without a new set for each of thousands."""
        self._wide.update(more if self._widened is event else event.parameters | more)
        self._widened = event

    def _narrow(self) -> None:
        """Write down what was added to the last Clear."""
        event, self._widened = self._widened, None
        if event is not None:
            self.replace_last(dataclasses.replace(event, parameters=frozenset(self._wide)))
            self._wide.clear()

    def replace(self, old: Event, new: Event) -> None:
        """Put an event in the place of one that is not far back, if that is still kept."""
        events: Any
        for events in (self._new, self._tail, self._head):
            for index in range(len(events) - 1, max(len(events) - 20, -1), -1):
                if events[index] is old:
                    self._put(new, events, index)
                    return

    @property
    def steps(self) -> int:
        """Turns of the loop in which something happened."""
        last = self.last()
        return self.step + 1 if last is not None and last.step == self.step else self.step

    def last(self) -> Event | None:
        if self._new:
            self._new[-1] = event = _made(self._new[-1])
            return event
        return self._tail[-1] if self._tail else self._head[-1] if self._head else None

    def last_norms(self) -> Column | None:
        """Those of the last event, if that is a backward pass."""
        last = self._new[-1] if self._new else self.last()
        if isinstance(last, tuple):
            return last[1][_NORMS] if last[0] is Backward else None
        return last.norms if isinstance(last, Backward) and isinstance(last.norms, Column) else None

    def events(self) -> tuple[Event, ...]:
        self._file()
        return (*self._head, *self._tail)

    def between(self) -> tuple[Event, ...]:
        """Of the passes and sampled updates that lie between, a sample in order."""
        self._file()
        kept = (event for _, event in (*self._passes.kept, *self._updates.kept))
        return tuple(sorted(kept, key=lambda event: event.clock))

    def lines(self) -> tuple[Passes, ...]:
        """How often each line ran a pass, and what it ever reached."""
        self._file()
        return self._lines.freeze()

    def arrivals(self) -> Arrivals:
        """Which parameters were reached when, by all passes whose norms have come."""
        self._settle_rows()
        return self._spread.freeze()

    # --- tallies ---------------------------------------------------------------------------------------------

    @property
    def counts(self) -> dict[int, Count]:
        """All counts, up to date."""
        self.settle()
        return self._counts

    def count(self, uid: int) -> Count:
        self.settle()
        return self._of(uid)

    def _of(self, uid: int) -> Count:
        try:
            return self._counts[uid]
        except KeyError:
            count = self._counts[uid] = Count()
            return count

    def delivered(self, backward: int, step: int, norms: Column) -> None:
        """A backward pass, in this step, delivered gradients with these norms."""
        if len(self._rows) >= ROWS:
            self._settle_rows()
        self._rows.append((backward, step, norms))
        if self.bad or not norms.finite:
            fresh = frozenset(uid for uid, norm in norms.items() if norm is not None and not math.isfinite(norm))
            self.bad = (self.bad - norms.cohort.everyone) | fresh

    def stepped(self, optimizer: int, kind: StepKind, norms: Column) -> None:
        """An optimizer stepped."""
        known = self._steps.get(optimizer)
        if known is not None and known[0] is not kind:
            self._settle_steps()
            known = None
        self._steps[optimizer] = (kind, known[1] + 1 if known else 1)
        if self.bad or not norms.finite:
            for uid, norm in norms.items():
                if (norm is None and uid in self.bad) or (norm is not None and not math.isfinite(norm)):
                    self._of(uid).stepped_nonfinite += 1

    def settle(self) -> None:
        """Count what was only noted."""
        self._settle_rows()
        self._settle_steps()

    def _settle_rows(self) -> None:
        rows, self._rows = self._rows, []
        for *_, norms in rows:
            self._spread.add(norms.cohort, measured=norms.is_measured)
        for group in together(rows):
            self._settle_group(group)

    def _settle_group(self, rows: list[Row]) -> None:
        if len(rows) > 2 and all(norms.row or len(norms.missing) == len(norms) for *_, norms in rows):
            first, last = rows[0][0], rows[-1][0]
            uids = rows[0][2].cohort.uids
            measured = [norms.row for *_, norms in rows if norms.row]
            columns = zip(*measured, strict=True) if measured else itertools.repeat((), len(uids))
            for place, (uid, column) in enumerate(zip(uids, columns, strict=True)):
                count = self._of(uid)
                if not count.delivered_well(first, last, len(rows), column):
                    for backward, step, norms in rows:
                        count.delivered(backward, step, norms.row[place] if norms.row else None)
            return
        for backward, step, norms in rows:
            for uid, norm in norms.items():
                self._of(uid).delivered(backward, step, norm)

    def _settle_steps(self) -> None:
        done, self._steps = self._steps, {}
        for kind, times in done.values():
            for uid in kind.held:
                count = self._of(uid)
                count.steps += times
                if uid in kind.trainable:
                    count.trainable_steps += times
                if uid in kind.present:
                    count.none_streak = 0
                else:
                    count.steps_none += times
                    count.none_streak += times

    def tallies(self) -> dict[int, Tally]:
        return {uid: count.freeze() for uid, count in self.counts.items()}


_NORMS = list(Backward.__dataclass_fields__).index("norms")


def _made(event: Event | tuple[type[Event], tuple[Any, ...]]) -> Event:
    return event[0](*event[1]) if isinstance(event, tuple) else event


def _numbers(event: Event) -> int:
    """How many numbers an event keeps."""
    if isinstance(event, Backward):
        return len(event.norms) if is_measured(event.norms) else 1
    if isinstance(event, OptimizerStep):
        return len(event.norms) + 8 * len(event.ratios)
    return len(event.parameters) if event.path else 1
