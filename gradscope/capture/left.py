"""What a backward pass left, kept as it came, and compared as a whole with what the next one leaves.

* A gradient is known by a weak reference. While one lives there is one such reference to it, which everybody is given
  who asks for one: two that are not the same object are of two gradients.
* Where there are very many, a reference for each costs more of the garbage collector's time than all else that watching
  does. Once a loop was seen to clear all of them again and again, a gradient is known by its id from the pass to the
  step. That the next pass found none shows in the versions of what it leaves then: torch adds to a gradient in place,
  which counts as a version, unless it builds a graph of the backward itself.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import ref

import torch

from gradscope.records.columns import Cohort

Reference = ref[torch.Tensor]
NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Fate:
    """What happened to gradients that were there before: added to, replaced after being None, zeroed in place."""

    added: frozenset[int] = NONE
    gone: frozenset[int] = NONE
    zeroed: frozenset[int] = NONE


@dataclass(slots=True, eq=False)
class Arrived:
    """What one pass brought, in order of arrival; a parameter that is used in several checkpoints may arrive twice."""

    uids: Sequence[int]
    marks: Sequence[Reference | int]
    """What tells the gradient of each from others: references, or ids where `light`."""
    versions: Sequence[int]
    light: bool = False
    doubly: bool = False
    """A graph of the backward was built: gradients are added to out of place."""

    @property
    def references(self) -> Sequence[Reference | None]:
        """The gradients; None where only ids are known."""
        return [None] * len(self.uids) if self.light else self.marks  # type: ignore[return-value]


@dataclass(slots=True, eq=False)
class Left:
    """What the last pass left. All of its parameters are known to have a gradient."""

    cohort: Cohort
    arrived: Arrived
    applied: list[Sequence[int]] = field(default_factory=list)
    """What optimizers have applied of it."""

    def fate(self, arrived: Arrived) -> Fate | None:
        """What happened to it until the next pass brought this to the same parameters, if the same happened to all."""
        before = self.arrived
        if before.light or arrived.light:
            surely = not arrived.doubly and not any(arrived.versions)
            return Fate(gone=self.cohort.everyone) if surely else None
        same = [*map(operator.is_, before.marks, arrived.marks)]
        if True not in same:
            return Fate(gone=self.cohort.everyone)
        if False not in same and max(map(operator.sub, arrived.versions, before.versions)) <= 1:
            return Fate(added=self.cohort.everyone)
        return None

    def holds(self, places: Sequence[int], grads: Sequence[torch.Tensor | None]) -> bool:
        """Whether these, of the parameters at these places, are what was left."""
        marks = self.arrived.marks
        if self.arrived.light:
            return [marks[place] for place in places] == list(map(id, grads))
        there = [
            grad is not None and marks[place]() is grad  # type: ignore[operator]
            for place, grad in zip(places, grads, strict=True)
        ]
        return False not in there

    def read_versions(self, places: Sequence[int]) -> None:
        """What optimizers wrote to it is no news."""
        versions, references = list(self.arrived.versions), self.arrived.references
        for place in places:
            mark = references[place]
            grad = mark() if mark is not None else None
            if grad is not None:
                versions[place] = grad._version
        self.arrived.versions = versions
