"""Parameters to which the same happened, in the same order: what is inferred of one holds for all of them.

Rules that follow gradients from event to event (delivered, cleared, written, applied) need not follow each
parameter: a thousand that always receive, lose and apply their gradients together are followed as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from gradscope.records import Backward, Event, OptimizerStep, Run
from gradscope.records.columns import receivers, unmeasured, zeros
from gradscope.records.once import once

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Alike:
    """A run told of one parameter for each class of them.

    In its events `norms`, `added` and `parameters` are right for those; other fields are as they were.
    """

    events: tuple[Event, ...]
    classes: Mapping[int, tuple[int, ...]]
    """Per parameter that stands for a class, the class."""
    held: Mapping[int, frozenset[int]]
    """Per optimizer, those of them that it holds."""

    def all(self, told: Mapping[int, T]) -> dict[int, T]:
        """What was found of some, said of everyone for whom they stand."""
        return {uid: found for one, found in told.items() for uid in self.classes[one]}


@once
def alike(run: Run) -> Alike:
    """Two parameters are alike if every event and every optimizer has both or neither.

    Also both or neither with a norm that is zero, or that was not measured. Other norms are not compared.
    """
    held = {optimizer.uid: frozenset(optimizer.parameters) for optimizer in run.optimizers}
    sets = dict.fromkeys(held.values())
    for event in run.events:
        sets |= dict.fromkeys(_members(event))
    signatures: dict[int, list[int]] = {}
    for number, members in enumerate(sets):
        for uid in members:
            signatures.setdefault(uid, []).append(number)
    classes: dict[tuple[int, ...], list[int]] = {}
    for uid in sorted(signatures):
        classes.setdefault(tuple(signatures[uid]), []).append(uid)
    found = {uids[0]: tuple(uids) for uids in classes.values()}
    only = frozenset(found)
    told = tuple(_told_of(event, only) for event in run.events)
    return Alike(told, found, {optimizer: uids & only for optimizer, uids in held.items()})


def _members(event: Event) -> tuple[frozenset[int], ...]:
    """The sets of parameters of an event."""
    if isinstance(event, Backward):
        return receivers(event.norms), zeros(event.norms), unmeasured(event.norms), event.added
    if isinstance(event, OptimizerStep):
        return receivers(event.norms), zeros(event.norms), unmeasured(event.norms)
    return (event.parameters,)


def _told_of(event: Event, only: frozenset[int]) -> Event:
    if isinstance(event, Backward | OptimizerStep):
        norms = {uid: event.norms[uid] for uid in sorted(only & receivers(event.norms))}
        return replace(event, norms=norms)
    return replace(event, parameters=event.parameters & only)
