"""Facts without references to parameters and optimizers that are not there.

A file that was cut off, or whose writer was killed when something had just joined, holds events of parameters and
optimizers whose names never came. Nothing can be said of these, so they are left out, and nobody else need ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from gradscope.records import (
    Arrivals,
    Backward,
    Clear,
    Cut,
    Event,
    Group,
    Histogram,
    Model,
    Optimizer,
    OptimizerStep,
    Origin,
    Passes,
    Run,
    Write,
)
from gradscope.runfile.codec import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
EXPONENTS = 2200
"""More than float64 has, with those below its smallest normal number."""

_UIDS: dict[type, tuple[str, ...]] = {
    Run: ("tallies", "parts", "averaged", "never_used", "unseen"),
    Model: ("parameters",),
    Group: ("parameters",),
    Backward: ("norms", "added", "connected"),
    OptimizerStep: ("norms", "ratios", "unchanged", "moved", "weights", "kept", "bound"),
    Clear: ("parameters",),
    Write: ("parameters",),
    Cut: ("parameters", "direct", "into"),
    Origin: ("parameters",),
    Passes: ("reached", "last"),
    Arrivals: ("rows",),
}
"""The fields of each record that hold uids of parameters."""


def whole(run: Run) -> Run:
    """The facts about the parameters that are there, and a note of how many are not."""
    parameters = {uid: p for uid, p in run.parameters.items() if p.uid == uid and 0 <= p.numel < LARGEST}
    kept = _Kept(frozenset(parameters))
    optimizers = tuple(replace(o, uid=place, groups=kept.all(o.groups)) for place, o in enumerate(run.optimizers))
    run = replace(
        kept.one(run),
        parameters=parameters,
        models=kept.all(run.models),
        optimizers=optimizers,
        events=kept.all(_of(optimizers, run.events)),
        between=kept.all(_of(optimizers, run.between)),
        cuts=kept.all(run.cuts),
        origins=kept.all(run.origins),
        lines=kept.all(run.lines),
        arrivals=kept.one(run.arrivals),
        histograms=tuple(h for h in run.histograms if h.uid in parameters and _is_of_floats(h)),
    )
    if not kept.missing:
        return run
    note = f"{len(kept.missing)} parameters are left out: the run file ends before their names"
    return replace(run, notes=(*run.notes, note))


def _is_of_floats(histogram: Histogram) -> bool:
    """Whether its buckets are exponents that a float can have; figures make room for all between two of them."""
    return abs(histogram.low) + max(len(histogram.negative), len(histogram.positive)) <= EXPONENTS


def _of(optimizers: tuple[Optimizer, ...], events: tuple[Event, ...]) -> Iterable[Event]:
    """The events without the steps of other optimizers than these."""
    known = range(len(optimizers))
    return (event for event in events if not isinstance(event, OptimizerStep) or event.optimizer in known)


class _Kept:
    """Strikes out what is not known, and remembers it."""

    def __init__(self, known: frozenset[int]) -> None:
        self.known = known
        self.missing: set[int] = set()

    def all(self, records: Iterable[T]) -> tuple[T, ...]:
        return tuple(map(self.one, records))

    def one(self, record: T) -> T:
        """The record itself wherever it can be."""
        changed: dict[str, Any] = {}
        for name in _UIDS[type(record)]:
            held = getattr(record, name)
            if held and not self.known.issuperset(held):
                self.missing.update(uid for uid in held if uid not in self.known)
                changed[name] = self._without(held)
        return replace(record, **changed) if changed else record  # type: ignore[type-var]

    def _without(self, held: Any) -> Any:
        if isinstance(held, Mapping):
            return {uid: value for uid, value in held.items() if uid in self.known}
        return type(held)(uid for uid in held if uid in self.known)
