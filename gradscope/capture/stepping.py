"""What optimizers do: which gradients they find, and what a step changes."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch._compile import _disable_dynamo
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gradscope.capture.drift import Drift
from gradscope.capture.events import StepKind
from gradscope.capture.norms import norms, numberless
from gradscope.capture.optimizers import steps_inside
from gradscope.capture.sharding import hide_writes
from gradscope.capture.source import Places, Stack
from gradscope.capture.updates import Changes, Left, Snapshot
from gradscope.capture.usual import Usual, UsualSteps
from gradscope.errors import StopRun
from gradscope.records import OptimizerStep, Write
from gradscope.records.columns import Cohort, Column
from gradscope.tallies import KEPT

if TYPE_CHECKING:
    from gradscope.capture.hooks import Watcher

SCALED = "scaler.step"
FIRST, THEN = 3, 50
"""Steps whose updates are compared when nothing is traced: the first few, then every fiftieth."""
UNDONE = 12
"""... or the first so many, as long as they are undone."""
FAINT = 1e-6
"""Norm of a gradient that may well change nothing: a step with no more says nothing about precision."""
_NO_CHANGES = Changes({}, {}, frozenset(), frozenset())
_NOTHING_LEFT = Left({}, frozenset())


@dataclass(slots=True, eq=False)
class Opened:
    """A step that has begun."""

    stack: Stack
    closure: bool
    snapshot: Snapshot | None
    left: Left
    norms: Column | None = None
    kind: StepKind | None = None


class StepProbe:
    """The global optimizer hooks."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self._opened: dict[int, Opened] = {}
        self._sampled: dict[int, Snapshot] = {}
        """Per optimizer, if its last step was looked at."""
        self._due: dict[int, int] = {}
        """Per optimizer the step at which it is looked at again."""
        self._usual = UsualSteps(watcher.registry)
        self._hooked: dict[int, tuple[int, ...]] = {}
        """Per optimizer the parameters that were hooked because it holds them."""
        self._drift = Drift(watcher.registry)
        self._places = Places()
        self._handles: list[Any] = []

    def attach(self) -> None:
        self._handles = [
            register_optimizer_step_pre_hook(self._before),
            register_optimizer_step_post_hook(self._after),
        ]

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._opened.clear()
        self._sampled.clear()
        for probe in self.watcher.before_optimizer:
            probe(None, False)

    # --- before ----------------------------------------------------------------------------------------------

    @_disable_dynamo  # a compiled step would take the hooks apart and compile them, too
    def _before(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        started = perf_counter()
        try:
            closure = len(args) > 1 or bool(kwargs.get("closure"))
            for probe in self.watcher.before_optimizer:
                probe(optimizer, closure)
            self._open(optimizer, self._places.snapshot(sys._getframe(1)), closure=closure)
        except StopRun:
            raise
        except Exception as error:  # noqa: BLE001 - shields the user's step
            self.watcher.failed("optimizer", error)
        self.watcher.budget.spent(started)

    def _open(self, optimizer: Any, stack: Stack, *, closure: bool) -> None:
        watcher = self.watcher
        if torch._C._current_graph_task_id() < 0:
            watcher.finish_backward()
        if watcher.book.first_step(optimizer):
            watcher.registry.dirty = True  # to_empty() and fully_shard replace parameters, and no hook of torch tells
        watcher.read_again()
        uid = watcher.book.see(optimizer, stack, only_known=not watcher.discover)
        if uid < 0:
            return
        known = watcher.book.known[uid]
        if not known.steps:
            watcher.look_around(stack)
        if self._hooked.get(uid) is not known.uids:
            self._hooked[uid] = known.uids
            watcher.attach_parameters(known.uids)
        if watcher.unnamed is not None and any(not watcher.registry.entries[u].owners for u in known.uids):
            watcher.unnamed(stack)
        if self._opened and steps_inside(known, [watcher.book.known[u] for u in self._opened]):
            known.steps += 1  # told as the step of the one around it
            return
        watcher.loop.steps(uid)
        before = self._sampled.pop(uid, None)
        left = before.left() if before is not None else _NOTHING_LEFT
        first = FIRST if before is None or left.least > KEPT else UNDONE
        samples = watcher.measure_updates or known.steps < first or known.steps >= self._due.get(uid, 0)
        opened = self._opened[uid] = Opened(stack, closure, self._sample(optimizer) if samples else None, left)
        if opened.snapshot is not None:  # else the budget forbade it: at the next step, or another always comes first
            self._due[uid] = (known.steps // THEN + 1) * THEN
        if not closure:
            self._look(uid, optimizer, opened)

    def _sample(self, optimizer: Any) -> Snapshot | None:
        """What the step is about to change, and what changed without any step."""
        watcher, started = self.watcher, perf_counter()
        if not watcher.budget.rested:
            return None
        held = {u for other in watcher.book.known for u in other.uids}
        self._drift.look(u for u, count in watcher.log.counts.items() if count.backwards and u not in held)
        taken = Snapshot(optimizer, watcher.registry)
        watcher.budget.sampled(started)
        return taken

    def _look(self, uid: int, optimizer: Any, opened: Opened) -> None:
        """Read the gradients that the optimizer is about to use, or after a closure has used."""
        watcher = self.watcher
        params = _held(optimizer)
        grads = [param.grad for param in params]
        uids = watcher.book.known[uid].uids
        usual = self._usual.whole(uid, uids)
        if usual is not None and watcher.gradients.as_left(grads, uids):
            here, strange = grads, False
        else:
            usual = self._usual.find(uid, uids, params, grads)
            here, strange = self._look_closely(usual, grads)
        opened.kind = usual.kind
        measure = opened.snapshot is not None or (strange and watcher.budget.due(watcher.log.optimizer_steps))
        opened.norms = self._norms(usual.cohort, here, measure=measure, unscaled=opened.stack.has(SCALED))

    def _look_closely(self, usual: Usual, grads: list[torch.Tensor | None]) -> tuple[Sequence[torch.Tensor], bool]:
        """Those that are there, and whether some came from elsewhere: not all is what the last pass has left."""
        watcher = self.watcher
        fate, strange = watcher.gradients.seen(usual.uids, grads)
        if not watcher.sees_clears:
            watcher.log_clears(fate)
        if fate.gone:
            watcher.gradients.let_go(fate.gone)
        here = [grad for grad in grads if grad is not None]
        if len(here) > len(usual.cohort.uids):  # it was given a parameter twice
            here = list(dict(zip(usual.cohort.order, here, strict=True)).values())
        if strange:
            self._from_elsewhere(usual, strange, grads)
        return here, bool(strange)

    def _from_elsewhere(self, usual: Usual, strange: list[int], grads: list[torch.Tensor | None]) -> None:
        """Gradients that no watched pass delivered: of parameters that were not hooked yet, or written by hand."""
        watcher = self.watcher
        places = {uid: place for place, uid in enumerate(usual.uids)}
        watcher.passing.alike = 0
        watcher.attach_parameters(strange)
        fresh = watcher.unseen.intersection(strange)
        watcher.unseen -= fresh
        averaged = watcher.ranks.averages and watcher.log.backwards > 0  # DDP writes where only other ranks had one
        late = [uid for uid in strange if uid in fresh and not averaged]
        written = [uid for uid in strange if uid not in fresh or averaged]
        late = [uid for uid in late if watcher.registry.entries[uid].owners]
        if late:
            watcher.early.update(late)
        if written and (averaged or not watcher.sees_clears) and watcher.log.backwards:
            log = watcher.log
            by = "averaged" if averaged else "assigned"
            log.append(Write(log.tick(), log.step, frozenset(written), (), "grad", by))
        watcher.gradients.holding.update(strange)
        watcher.gradients.note(strange, [grads[places[uid]] for uid in strange])

    def _norms(self, cohort: Cohort, grads: Sequence[torch.Tensor], *, measure: bool, unscaled: bool) -> Column:
        """The norms that are applied: those of the last pass if nobody wrote to the gradients since.

        A GradScaler writes to them, and torch does not count that as a new version of the tensor.
        """
        watcher = self.watcher
        last = watcher.log.last_norms()
        if (
            last is not None
            and last.row
            and not unscaled
            and not watcher.ranks.averages
            and not (watcher.ranks.active and hide_writes(grads))
            and last.cohort.everyone == cohort.everyone
            and watcher.gradients.untouched(cohort.uids, grads)
        ):
            return last
        return self._measured(cohort, grads) if measure and grads else cohort.blank

    def _measured(self, cohort: Cohort, grads: Sequence[torch.Tensor]) -> Column:
        if numberless(grads):
            return cohort.blank
        last = self.watcher.log.last_norms()
        return Column(cohort, self.watcher.ranks.judged(cohort.uids, norms(grads), before=last or {}))

    # --- after -----------------------------------------------------------------------------------------------

    @_disable_dynamo
    def _after(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        started = perf_counter()
        try:
            uid = self.watcher.book.uid(optimizer)
            opened = self._opened.pop(uid, None) if uid >= 0 else None
            if opened is not None:
                if opened.closure:
                    self.watcher.finish_backward()
                    self._look(uid, optimizer, opened)
                self._log(uid, optimizer, opened)
        except Exception as error:  # noqa: BLE001 - shields the user's step
            self.watcher.failed("optimizer", error)
        finally:
            for probe in self.watcher.before_optimizer:
                probe(None, False)
        self.watcher.budget.spent(started)

    def _log(self, uid: int, optimizer: Any, opened: Opened) -> None:
        watcher, log = self.watcher, self.watcher.log
        watcher.loop.stepped(uid)
        assert opened.norms is not None
        assert opened.kind is not None
        changes, arrived = _NO_CHANGES, log.last_norms()
        if opened.snapshot is not None:
            started = perf_counter()
            changes = opened.snapshot.compare(opened.norms)
            self._sampled = {u: s for u, s in self._sampled.items() if watcher.book.known[u].ref() is not None}
            self._sampled[uid] = opened.snapshot
            watcher.budget.sampled(started)
        log.note(
            OptimizerStep, log.tick(), log.step, log.optimizer_steps, uid, watcher.path(opened.stack), opened.norms,
            watcher.book.known[uid].lrs,
            changes.ratios, changes.unchanged, changes.moved, changes.weights, opened.left.kept, opened.left.bound,
        )  # fmt: skip
        log.optimizer_steps += 1
        log.stepped(uid, opened.kind, opened.norms)
        watcher.book.stepped(uid)
        watcher.suspicions.stepped(log, opened.kind)
        if opened.left.kept:
            watcher.suspicions.undone(opened.left.kept)
        if opened.snapshot is not None:
            for param, ratio in changes.ratios.items():
                count = log.count(param)
                count.ratio_last = ratio
                norm = opened.norms.get(param)
                watcher.suspicions.weighed(param, changes.weights[param], ratio)
                if norm is not None:
                    numel = math.prod(watcher.registry.entries[param].shape)
                    before = arrived.get(param) if arrived is not None else None
                    watcher.suspicions.applied(param, norm, numel, delivered=count.backwards, arrived=before)
                if norm is None or norm >= FAINT:
                    count.compared += 1
                    count.unchanged += param in changes.unchanged
        watcher.gradients.accept(opened.kind.held)


def _held(optimizer: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for group in optimizer.param_groups:
        found += group["params"]
    return found
