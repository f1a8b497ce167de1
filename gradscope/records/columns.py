"""Numbers of many parameters at one moment, in a tenth of the memory that a dict of floats takes."""

from __future__ import annotations

import math
from array import array
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence
from typing import Any


class Cohort:
    """Parameters that receive gradients together, again and again."""

    __slots__ = ("_ascending", "blank", "everyone", "order", "places", "plan", "uids")

    def __init__(self, uids: Iterable[int]) -> None:
        self.order = tuple(uids)
        """As they arrived; one that is used in several checkpoints may arrive twice."""
        self.uids = tuple(dict.fromkeys(self.order))
        self.places = {uid: place for place, uid in enumerate(self.uids)}
        self.everyone = frozenset(self.uids)
        self._ascending: array[int] | None = None
        self.blank = Column(self)
        """What is said of it wherever no norm was measured."""
        self.plan: Any = None
        """How whoever measures their gradients goes about it: shapes and types, no tensors."""

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def ascending(self) -> array[int]:
        """The place of each parameter, in the order of the uids."""
        if self._ascending is None:
            self._ascending = array("q", sorted(range(len(self.uids)), key=self.uids.__getitem__))
        return self._ascending


class Column(Mapping[int, float | None]):
    """One number per parameter of a cohort, or None for each: what a dict would say in a tenth of the memory."""

    __slots__ = ("_missing", "_values", "cohort")

    def __init__(self, cohort: Cohort, values: Sequence[float | None] | None = None) -> None:
        self.cohort = cohort
        self._missing: frozenset[int] = frozenset()
        self._values: array[float] | None = None
        if values is None:
            return
        if None in values:
            self._missing = frozenset(place for place, value in enumerate(values) if value is None)
            values = [0.0 if value is None else value for value in values]
        self._values = array("d", values)  # type: ignore[arg-type]

    def __getitem__(self, uid: int) -> float | None:
        place = self.cohort.places[uid]
        if self._values is None or place in self._missing:
            return None
        return self._values[place]

    def of(self, uids: Sequence[int]) -> list[float | None]:
        """The numbers of those of these that are in the cohort."""
        at = self.cohort.places
        places = [at[uid] for uid in uids if uid in at]
        numbers = self.all
        return [numbers[place] for place in places]

    def __contains__(self, uid: object) -> bool:
        return uid in self.cohort.places

    def __iter__(self) -> Iterator[int]:
        return iter(self.cohort.uids)

    def __len__(self) -> int:
        return len(self.cohort.uids)

    def __repr__(self) -> str:
        return repr(dict(self))

    def items(self) -> ItemsView[int, float | None]:
        return _Items(self)

    @property
    def all(self) -> Sequence[float | None]:
        """The numbers in the order of the cohort, None for each that is missing."""
        if self._values is None:
            return [None] * len(self.cohort.uids)
        if not self._missing:
            return self._values
        return [None if place in self._missing else value for place, value in enumerate(self._values)]

    @property
    def missing(self) -> Sequence[int]:
        """Those whose number was not measured."""
        uids = self.cohort.uids
        return uids if self._values is None else [uids[place] for place in sorted(self._missing)]

    @property
    def is_measured(self) -> bool:
        """Whether any number is there, or none could be."""
        return len(self._missing) < len(self.cohort) if self._values is not None else not self.cohort

    @property
    def row(self) -> Sequence[float]:
        """The numbers in the order of the cohort; empty unless all are there."""
        return self._values if self._values is not None and not self._missing else ()

    @property
    def finite(self) -> bool:
        """Whether no number is NaN or Inf."""
        return self._values is None or math.isfinite(sum(self._values)) or all(map(math.isfinite, self._values))


class _Items(ItemsView[int, float | None]):
    """Pairs without a look-up for each."""

    _mapping: Column

    def __iter__(self) -> Iterator[tuple[int, float | None]]:
        return zip(self._mapping.cohort.uids, self._mapping.all, strict=True)


def numbers_of(norms: Mapping[int, float | None], uids: Sequence[int]) -> list[float | None]:
    """The norms of those of these parameters that received something, None for each that was not measured."""
    return norms.of(uids) if isinstance(norms, Column) else [norms[uid] for uid in uids if uid in norms]


def receivers(norms: Mapping[int, float | None]) -> frozenset[int]:
    """The parameters of a mapping of norms; of a column, without looking at each."""
    return norms.cohort.everyone if isinstance(norms, Column) else frozenset(norms)


def zeros(norms: Mapping[int, float | None]) -> frozenset[int]:
    """Those whose norm is zero."""
    if isinstance(norms, Column) and 0.0 not in norms.row and (norms.row or len(norms.missing) == len(norms)):
        return frozenset()
    return frozenset(uid for uid, norm in norms.items() if norm == 0.0)


def unmeasured(norms: Mapping[int, float | None]) -> frozenset[int]:
    """Those that received something that was not measured."""
    if isinstance(norms, Column):
        return frozenset(norms.missing)
    return frozenset(uid for uid, norm in norms.items() if norm is None)


def is_measured(norms: Mapping[int, float | None]) -> bool:
    """Whether any norm was measured, or there was nothing to measure."""
    if isinstance(norms, Column):
        return norms.is_measured
    return not norms or any(norm is not None for norm in norms.values())
