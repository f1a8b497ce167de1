"""What a backward pass brought, once it is over: looked at, measured, logged and counted."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch

from gradscope.capture.gradients import CALM, no_collection
from gradscope.capture.left import Arrived
from gradscope.capture.norms import Measured, numberless
from gradscope.capture.source import Stack
from gradscope.records import Backward
from gradscope.records.columns import Cohort, Column

if TYPE_CHECKING:
    from gradscope.capture.hooks import Watcher

ALIKE = 8
"""Looks at the gradients when a pass is over that have to find them as they arrived: from then on they are measured
when due, and looked at no more than that."""
MANY = 1000
"""Gradients of which a reference for each is seen in the garbage collector's time (benchmarks/README.md)."""
COHORTS = 64


class PassProbe:
    """Logs the passes of one watcher."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.cohorts: dict[int, Cohort] = {}
        self.alike = 0
        """Looks in a row that found the gradients as they arrived."""
        self.light = False
        self.late: tuple[Backward, Cohort, Measured] | None = None
        """The last pass, if its norms are still on their way from a device."""

    def log(self, arrived: Arrived, stack: Stack, extra: Mapping[str, Any], *, late: bool) -> None:
        """Log a pass. `late`: another one has begun, and changes the gradients."""
        watcher, log = self.watcher, self.watcher.log
        path = watcher.path(stack)
        if self.late is not None:
            self.fetch()
        fresh = watcher.read_again()
        cohort, arrived = self._cohort(self._with(fresh, arrived) if fresh else arrived)
        due, grads = self.watcher.meter.due(path), None
        unsure = self.alike < ALIKE or watcher.sees_clears or watcher.ranks.averages or bool(watcher.after_backward)
        if (due or unsure) and not late:
            with no_collection():
                grads = self._grads(cohort.uids)
                arrived = self._look_again(grads, arrived)
        if watcher.unseen:
            watcher.unseen.difference_update(cohort.uids)
        fate = watcher.gradients.arrived(cohort, arrived, told=watcher.sees_clears)
        self.light = len(cohort) >= MANY and self._may_be_light(arrived)
        if watcher.loop.done or not watcher.book.known:
            watcher.turn(path, cohort.everyone, by_hand=watcher.by_hand(anew=bool(fate.gone or fate.zeroed)))
        if watcher.loop.full:
            return
        watcher.log_clears(fate)
        norms = self._measure(cohort, grads) if due and grads else cohort.blank
        fields = log.tick(), log.step, log.backwards, path, norms, fate.added
        if extra or self.late is not None:
            self._log_at_once(Backward(*fields, **extra))
        else:
            log.note(Backward, *fields)
            self._count(log.backwards, log.step, norms, fate.added)
        for probe in watcher.after_backward:
            probe({u: g for u, g in zip(cohort.uids, grads or (), strict=False) if g is not None}, log.step)
        log.backwards += 1
        watcher.ranks.wanted = not watcher.ranks.averages or self.watcher.meter.may_be_due()
        if log.backwards in (1, 2):
            watcher.look_around(stack)
        watcher.registry.training = True
        if watcher.unnamed is not None and any(not watcher.registry.entries[uid].owners for uid in cohort.uids):
            watcher.unnamed(stack)

    # --- who and what ----------------------------------------------------------------------------------------

    def _cohort(self, arrived: Arrived) -> tuple[Cohort, Arrived]:
        """Who it was, and in the order of the cohort what each got."""
        uids = tuple(arrived.uids)
        cohort = self.cohorts.get(hash(uids))
        if cohort is None or cohort.order != uids:
            if len(self.cohorts) > COHORTS:
                self.cohorts.clear()
            cohort = self.cohorts[hash(uids)] = Cohort(uids)
        if len(cohort) < len(uids):
            last = {uid: place for place, uid in enumerate(uids)}
            places = [last[uid] for uid in cohort.uids]
            marks, versions = [arrived.marks[at] for at in places], [arrived.versions[at] for at in places]
            arrived = dataclasses.replace(arrived, uids=cohort.uids, marks=marks, versions=versions)
        return cohort, arrived

    def _with(self, fresh: Sequence[int], arrived: Arrived) -> Arrived:
        """With the parameters that came or were thawed since the last look, as far as this pass has reached them."""
        there = [(uid, grad) for uid, grad in zip(fresh, self._grads(fresh), strict=True) if grad is not None]
        mark = id if arrived.light else ref
        return dataclasses.replace(
            arrived,
            uids=[*arrived.uids, *(uid for uid, _ in there)],
            marks=[*arrived.marks, *(mark(grad) for _, grad in there)],
            versions=[*arrived.versions, *(grad._version for _, grad in there)],
        )

    def _grads(self, uids: Sequence[int]) -> list[torch.Tensor | None]:
        entries = self.watcher.registry.entries
        tensors = [entries[uid].ref() for uid in uids]
        return [None if tensor is None else tensor.grad for tensor in tensors]

    def _look_again(self, grads: Sequence[torch.Tensor | None], arrived: Arrived) -> Arrived:
        """The gradients there are now; what was freed meanwhile stays the one that arrived."""
        if arrived.light and any(grad is None for grad in grads):
            self.alike = 0
            return arrived
        marks = [mark if grad is None else ref(grad) for mark, grad in zip(arrived.marks, grads, strict=True)]
        versions = [v if grad is None else grad._version for v, grad in zip(arrived.versions, grads, strict=True)]
        before = [*map(id, grads)] if arrived.light else marks
        same = all(map(operator.eq if arrived.light else operator.is_, before, arrived.marks))
        self.alike = self.alike + 1 if same and versions == arrived.versions else 0
        return dataclasses.replace(arrived, marks=marks, versions=versions, light=False)

    def _may_be_light(self, arrived: Arrived) -> bool:
        """Whether ids will do for the next pass: where all is always new, plain, and stays what it was at first."""
        watcher = self.watcher
        if watcher.gradients.calm < CALM or self.alike < ALIKE or watcher.sees_clears or watcher.ranks.averages:
            return False
        if any(arrived.versions):
            return False
        grads = [mark() for mark in arrived.references if mark is not None]
        return all(grad is not None and grad.layout is torch.strided for grad in grads)

    # --- norms -----------------------------------------------------------------------------------------------

    def _measure(self, cohort: Cohort, grads: list[torch.Tensor | None]) -> Column:
        present = [grad for grad in grads if grad is not None]
        if not present or len(present) < len(grads) or numberless(present):
            return cohort.blank
        ranks = self.watcher.ranks
        own = ranks.own(cohort.uids, present)
        with no_collection():
            measured = self.watcher.meter.measure(cohort, own, wait=self.watcher.measure_updates, own=own is present)
        if not measured.ready:
            self.late = (_NOTHING, cohort, measured)
            return cohort.blank
        return Column(cohort, ranks.judged(cohort.uids, measured.values(), count=True))

    def _log_at_once(self, event: Backward) -> None:
        self.watcher.log.append(event)
        assert isinstance(event.norms, Column)
        if self.late is not None:
            self.late = (event, self.late[1], self.late[2])
        else:
            self._count(event.index, event.step, event.norms, event.added)

    def _count(self, index: int, step: int, norms: Column, added: frozenset[int]) -> None:
        self.watcher.log.delivered(index, step, norms)
        self.watcher.suspicions.arrived(self.watcher.log, norms, added)

    def fetch(self) -> None:
        """Fetch the norms of the pass before from their device."""
        if self.late is None or self.late[0] is _NOTHING:
            return
        (old, cohort, measured), self.late = self.late, None
        column = Column(cohort, self.watcher.ranks.judged(cohort.uids, measured.values(), count=True))
        event = dataclasses.replace(old, norms=column)
        self.watcher.log.replace(old, event)
        self._count(event.index, event.step, column, event.added)


_NOTHING = Backward(-1, -1, -1, (), {})
