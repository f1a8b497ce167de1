"""The gradients themselves: which tensor is whose, since when, and what became of it between two looks.

* Nothing tells that gradients were cleared. But `.grad` is another tensor afterwards, or the same one with a version
  that went up by more than the one of accumulating. Tracing sees the calls themselves; then only that is believed.
* Mostly a pass reaches the parameters that the one before reached, and an optimizer finds what the pass has left. So
  that is kept as it came, and goes to the books of single parameters when anything differs.
* What is not known is not told: neither that a gradient was cleared nor that it was added to.
"""

from __future__ import annotations

import dataclasses
import gc
import operator
import threading
from collections.abc import Iterable, Sequence
from typing import TypeGuard
from weakref import ref

import torch

from gradscope.capture.left import Arrived, Fate, Left, Reference
from gradscope.records.columns import Cohort

CALM = 32
"""Passes in a row that found all gradients cleared to None. From then on very many are known by their ids alone, and
nobody asks what optimizers write to them."""


class no_collection:  # noqa: N801 - reads like those of contextlib
    """Look at many gradients without the garbage collector looking at each of them, too."""

    __slots__ = ("_enabled",)

    def __enter__(self) -> None:
        self._enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._enabled:
            gc.enable()


_NOTHING = Fate()


class Gradients:
    """The gradient tensors that were last seen, by parameter; weak references only."""

    def __init__(self) -> None:
        self.holding: set[int] = set()
        """Parameters that have a gradient as far as is known; `let_go` takes out of it."""
        self.calm = 0
        """Passes in a row before which all was cleared to None."""
        self.uncounted: set[int] = set()
        """Parameters of which torch counts no version when a pass adds to their gradient."""
        self._left: Left | None = None
        self._places: dict[int, tuple[Cohort, Sequence[int], Sequence[int]]] = {}
        """Per id of a sequence of parameters: their places in a cohort."""
        self._marks: dict[int, Reference] = {}
        self._versions: dict[int, int] = {}
        self._fresh: set[int] = set()
        """Parameters that received something since an optimizer last applied it."""
        self._owners: dict[int, int] | None = None

    # --- after a backward pass -------------------------------------------------------------------------------

    def arrived(self, cohort: Cohort, arrived: Arrived, *, told: bool) -> Fate:
        """A pass brought these gradients. `told`: whether clearing has been told."""
        self._owners = None
        left = self._left
        alike = not told and left is not None and left.cohort is cohort and self.uncounted.isdisjoint(cohort.everyone)
        fate = left.fate(arrived) if alike and left is not None else None
        self.calm = self.calm + 1 if fate is not None and fate.gone else 0
        if fate is None:
            self._settle()
            fate = self._told(cohort.uids, arrived) if told else self._read_off(cohort.uids, arrived)
            self.holding.update(cohort.uids)
        self._left = Left(cohort, arrived)
        return fate

    def _read_off(self, uids: Sequence[int], arrived: Arrived) -> Fate:
        before = [*map(self._marks.get, uids)]
        same = [*map(operator.is_, before, arrived.references)]
        if True not in same and None not in before:
            return Fate(gone=frozenset(self.holding.intersection(uids)))
        added, gone, zeroed = set[int](), set[int](), set[int]()
        for uid, mark, now, version in zip(uids, before, arrived.references, arrived.versions, strict=True):
            if uid not in self.holding:
                continue
            if mark is None or now is None:
                if not version and not arrived.doubly:
                    gone.add(uid)
            elif mark is not now or mark() is None:  # a hook of the user's has freed it at once
                gone.add(uid)
            elif (then := self._versions.get(uid)) is not None:
                (added if version - then <= (uid not in self.uncounted) else zeroed).add(uid)
        return Fate(frozenset(added), frozenset(gone), frozenset(zeroed))

    def _told(self, uids: Sequence[int], arrived: Arrived) -> Fate:
        fate = _NOTHING if threading.active_count() == 1 else self._cleared_elsewhere(uids, arrived)
        added = self.holding.intersection(uids) - fate.gone - fate.zeroed
        return dataclasses.replace(fate, added=frozenset(added))

    def _cleared_elsewhere(self, uids: Sequence[int], arrived: Arrived) -> Fate:
        """What another thread cleared, which nobody tells: only what can be nothing else."""
        gone, zeroed = set[int](), set[int]()
        for uid, mark, version in zip(uids, arrived.references, arrived.versions, strict=True):
            grad, before, then = mark() if mark is not None else None, self._marks.get(uid), self._versions.get(uid)
            if uid not in self.holding or grad is None or before is None:
                continue
            if before is not mark and not grad.requires_grad and not grad.is_sparse:  # these are added to out of place
                gone.add(uid)
            elif before is mark and uid not in self._fresh and then is not None and version - then > 1:
                zeroed.add(uid)
        return Fate(gone=frozenset(gone), zeroed=frozenset(zeroed))

    # --- at a step -------------------------------------------------------------------------------------------

    def as_left(self, grads: Sequence[torch.Tensor | None], uids: Sequence[int]) -> TypeGuard[Sequence[torch.Tensor]]:
        """Whether these are what the last pass left, and none was applied since."""
        left, places = self._left, self._placed(uids)
        if left is None or places is None or any(not set(uids).isdisjoint(each) for each in left.applied):
            return False
        return left.holds(places, grads)

    def seen(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> tuple[Fate, list[int]]:
        """Gradients as an optimizer finds them: those gone or zeroed, and those that came from elsewhere.

        What arrived since the last step may have been clipped; what did not, and was written to, was zeroed.
        """
        if self.as_left(grads, uids):
            return _NOTHING, []
        self._settle()
        holding, versions, fresh, marks = self.holding, self._versions, self._fresh, self._marks
        gone = [uid for uid, grad in zip(uids, grads, strict=True) if grad is None and uid in holding]
        strange = [
            uid
            for uid, grad in zip(uids, grads, strict=True)
            if grad is not None and (uid not in holding or _is_other(grad, marks.get(uid)))
        ]
        zeroed = [
            uid
            for uid, grad in (zip(uids, grads, strict=True) if not fresh.issuperset(uids) else ())
            if uid not in fresh and grad is not None and uid in holding and _differs(grad, versions.get(uid))
        ]
        return Fate(gone=frozenset(gone), zeroed=frozenset(zeroed).difference(strange)), strange

    def _placed(self, uids: Sequence[int]) -> Sequence[int] | None:
        """Where these stand in what the last pass left; None if it did not reach them all."""
        if self._left is None:
            return None
        cohort = self._left.cohort
        known = self._places.get(id(uids))
        if known is None or known[0] is not cohort or known[1] is not uids:
            if len(self._places) > 64:
                self._places.clear()
            at = cohort.places
            places = [at[uid] for uid in uids] if cohort.everyone.issuperset(uids) else []
            known = self._places[id(uids)] = cohort, uids, places
        return known[2] or None

    def compared(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> Fate:
        """Gradients between two steps: None or another tensor is gone, written to is zeroed."""
        self._settle()
        gone, zeroed = [], []
        for uid, grad in zip(uids, grads, strict=True):
            mark = self._marks.get(uid)
            if grad is None or _is_other(grad, mark):
                gone.append(uid)
            elif _differs(grad, self._versions.get(uid)):
                zeroed.append(uid)
        return Fate(gone=frozenset(gone), zeroed=frozenset(zeroed))

    def untouched(self, uids: Sequence[int], grads: Sequence[torch.Tensor]) -> bool:
        """Whether all are just what the last backward pass left."""
        left, places = self._left, self._placed(uids)
        if left is not None and places is not None and not (left.arrived.light and left.applied):
            return left.holds(places, grads) and [grad._version for grad in grads] == [
                left.arrived.versions[place] for place in places
            ]
        self._settle()
        marks, versions = map(self._marks.get, uids), map(self._versions.get, uids)
        return all(
            mark is not None and mark() is grad and grad._version == version
            for mark, grad, version in zip(marks, grads, versions, strict=True)
        )

    # --- books -----------------------------------------------------------------------------------------------

    def note(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> None:
        """Remember gradients, as they are now."""
        self._settle()
        self._owners = None
        for uid, grad in zip(uids, grads, strict=True):
            if grad is not None:
                self._marks[uid], self._versions[uid] = ref(grad), grad._version

    def accept(self, uids: Sequence[int]) -> None:
        """They were applied or averaged: what was written to them so far is no news; they are the tensors they were."""
        left, places = self._left, self._placed(uids)
        if left is not None and places is not None:
            left.applied.append(uids)
            if not left.arrived.light:
                left.read_versions(places)
            return
        self._settle()
        self._fresh.difference_update(uids)
        for uid in uids:
            mark = self._marks.get(uid)
            grad = mark() if mark is not None else None
            if grad is not None:
                self._versions[uid] = grad._version

    def let_go(self, uids: Iterable[int]) -> None:
        """They have no gradient any more."""
        self._settle()
        self.calm = 0
        self.holding.difference_update(uids)

    def owner(self, tensor: torch.Tensor) -> int:
        """The parameter whose gradient a tensor is, or -1."""
        self._settle()
        if self._owners is None:
            self._owners = {id(grad): uid for uid, mark in self._marks.items() if (grad := mark()) is not None}
        uid = self._owners.get(id(tensor), -1)
        return uid if uid >= 0 and self._marks[uid]() is tensor else -1

    def clear(self) -> None:
        self._left = None
        self._marks.clear()
        self._owners = None

    def _settle(self) -> None:
        """Write what the last pass left into the books."""
        left, self._left = self._left, None
        if left is None:
            return
        uids, arrived = left.cohort.uids, left.arrived
        if arrived.light:
            for uid in uids:
                self._marks.pop(uid, None)
                self._versions.pop(uid, None)
        else:
            self._marks.update(zip(uids, arrived.marks, strict=True))  # type: ignore[arg-type]
            self._versions.update(zip(uids, arrived.versions, strict=True))
        self._fresh.update(uids)
        for applied in left.applied:
            self._fresh.difference_update(applied)


def _is_other(grad: torch.Tensor, mark: Reference | None) -> bool:
    """Whether it is another gradient than this, which may not be known."""
    return mark is not None and mark() is not grad


def _differs(grad: torch.Tensor, version: int | None) -> bool:
    """Whether a gradient was written to since it had this version, which may not be known."""
    return version is not None and grad._version != version
