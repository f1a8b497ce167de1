"""The log of events and the running tallies: bounded memory however long the run."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gradscope.records import Event, Tally

HEAD, TAIL = 400, 400
"""Events kept from the beginning and from the end of a run."""


ZERO = 1e-18
"""A norm below this is zero: multiplied by any learning rate in use it is lost against any float32 weight."""


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

    def delivered(self, backward: int, norm: float | None) -> None:
        """One backward pass left a gradient of this norm (None: not measured)."""
        self.backwards += 1
        if self.first_backward is None:
            self.first_backward = backward
        self.last_backward = backward
        if norm is None:
            return
        self.measured += 1
        self.norm_last = norm
        if not math.isfinite(norm):
            self.nonfinite += 1
            self.first_nonfinite = backward if self.first_nonfinite is None else self.first_nonfinite
            return
        self.norm_max = norm if self.norm_max is None else max(norm, self.norm_max)
        if norm < ZERO:
            self.zero += 1
            self.zero_streak += 1
        else:
            self.zero_streak = 0

    def freeze(self) -> Tally:
        return Tally(**{name: getattr(self, name) for name in Tally.__slots__})


@dataclass(eq=False)
class Log:
    """Events in order, the oldest and the newest kept, and a Count per parameter."""

    clock: int = 0
    step: int = 0
    backwards: int = 0
    optimizer_steps: int = 0
    counts: dict[int, Count] = field(default_factory=dict)
    _head: list[Event] = field(default_factory=list)
    _tail: deque[Event] = field(default_factory=lambda: deque(maxlen=TAIL))

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def append(self, event: Event) -> None:
        if len(self._head) < HEAD:
            self._head.append(event)
        else:
            self._tail.append(event)

    def replace_last(self, event: Event) -> None:
        if self._tail:
            self._tail[-1] = event
        else:
            self._head[-1] = event

    def last(self) -> Event | None:
        return self._tail[-1] if self._tail else self._head[-1] if self._head else None

    def events(self) -> tuple[Event, ...]:
        return (*self._head, *self._tail)

    def count(self, uid: int) -> Count:
        try:
            return self.counts[uid]
        except KeyError:
            count = self.counts[uid] = Count()
            return count

    def delivered(self, norms: Mapping[int, float | None]) -> None:
        for uid, norm in norms.items():
            self.count(uid).delivered(self.backwards, norm)

    def tallies(self) -> dict[int, Tally]:
        return {uid: count.freeze() for uid, count in self.counts.items()}

    def of(self, uids: Iterable[int]) -> list[Count]:
        return [self.count(uid) for uid in uids]
