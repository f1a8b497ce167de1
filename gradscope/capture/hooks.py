"""Watching: who received a gradient in which backward, and where that is said, measured and counted.

Always on and cheap: a hook on every parameter says who, one fused pass says how much. Absence is read off by comparing
what an optimizer holds with what arrived; a hook that does not fire proves nothing by itself.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from time import perf_counter
from typing import Any

import torch

from gradscope.capture.budget import Budget
from gradscope.capture.distributed import Ranks
from gradscope.capture.failure import warn_once
from gradscope.capture.gradients import no_collection
from gradscope.capture.inbox import Inbox
from gradscope.capture.ledger import Ledger
from gradscope.capture.loop import Loop
from gradscope.capture.meter import Meter
from gradscope.capture.norms import Measured
from gradscope.capture.optimizers import OptimizerBook
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.stepping import StepProbe
from gradscope.capture.suspicions import Suspicions
from gradscope.capture.threads import Threads, caller, here
from gradscope.errors import StopRun
from gradscope.records import Backward, Path
from gradscope.records.columns import Cohort, Column

_READ_AGAIN = 50
"""Steps after which names are read again even if no module said that it was given a parameter."""


class Watcher(Ledger):
    """Hooks on the parameters of a registry and on all optimizers, from attach() to detach()."""

    def __init__(self, registry: Registry, *, every: int = 1, discover: bool = False, limit: int | None = None) -> None:
        super().__init__(registry)
        self.book = OptimizerBook(registry)
        self.budget = Budget()
        self.loop = Loop(self.log, self.budget, limit)
        self.suspicions = Suspicions()
        self.meter = Meter(every, self.budget)
        self.discover = discover
        self.measure_updates = False
        self.before_optimizer: list[Callable[[Any, bool], None]] = []
        self.after_backward: list[Callable[[dict[int, torch.Tensor], int], None]] = []
        """Called with the gradients that a backward pass delivered, and the step."""
        self.unnamed: Callable[[Stack], None] | None = None
        """Called when parameters without a name turned up, so that they can be found in the user's frames."""
        self.failures: list[str] = []
        self.unseen: set[int] = set()
        """Parameters hooked in the middle of the loop, and of no pass since: one may have reached them before."""
        self.early: set[int] = set()
        """Parameters whose first gradient came before they were hooked."""
        self.ranks = Ranks(self)
        self.threads = Threads()
        self.inbox = Inbox(registry, self._begins, self._ends)
        self._stepping = StepProbe(self)
        self._open = self._bracket = self._closed = False
        self._stack = EMPTY
        self._extra: dict[str, Any] = {}
        self.cohorts: dict[int, Cohort] = {}
        self._late: tuple[Backward, Cohort, Measured] | None = None
        self._read = 0  # the step at which names were last read

    # --- lifetime --------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Put hooks on every registered parameter and on all optimizers."""
        self.attach_parameters(list(self.registry.entries))
        self.unseen.clear()
        self.registry.dirty = True  # what is replaced before the loop begins is read when something first happens
        self._stepping.attach()
        self.ranks.look()

    def attach_parameters(self, uids: Iterable[int]) -> list[int]:
        """Hook the parameters that are not hooked yet; returns those that now are."""
        if self._closed:
            return []
        for model in self.registry.models:
            module = model.module() if model.module is not None else None
            if module is not None and model.lazy:
                self.inbox.wait_for_lazy(module)
        fresh = self.inbox.attach(uids)
        self.unseen.update(fresh)
        return fresh

    def detach(self) -> None:
        """Remove every hook; the facts stay."""
        if self._closed:
            return
        self.catch_up()
        self._closed = True
        self.inbox.detach()
        self._stepping.detach()
        self.ranks.close()
        self.gradients.clear()

    def failed(self, probe: str, error: Exception) -> None:
        """A probe failed: say so once, detach everything, and let training go on."""
        warn_once(probe, error)
        self.failures.append(f"the {probe} probe failed and was detached: {type(error).__name__}: {error}")
        self._open = False
        self._closed = True
        self.inbox.detach()
        self._stepping.detach()
        self.ranks.close()

    # --- backward --------------------------------------------------------------------------------------------

    def begin_backward(self, stack: Stack, **extra: Any) -> None:
        """A traced backward starts: everything until finish_backward() belongs to it."""
        self.finish_backward()
        self.threads.passed(here())
        self._turn(self.path(stack), extra.get("connected"), by_hand=self._by_hand())
        self.loop.stop_at_limit()
        self._open = self._bracket = not self._closed
        self._stack, self._extra = stack, extra

    def _turn(self, path: Path, reached: Collection[int] | None, *, by_hand: bool) -> None:
        """A pass at a line, that reaches at least these parameters if that is known: perhaps a turn is over."""
        self.loop.backward(path, by_hand=by_hand, waited_for=lambda done: self.book.others_hold(reached or (), done))

    def _begins(self, uid: int) -> bool:
        """The first gradient of an engine task arrives; returns whether the end of that task ends the pass."""
        if self._bracket and not self.ranks.averages:
            return False
        try:
            stack, thread = caller(sys._getframe(1))
            nested = stack.has("function")  # a reentrant checkpoint runs the engine inside a Function's backward
            if self._bracket or (nested and self._open):
                return self._bracket and not nested
            self.finish_backward()
            self.sees_clears &= self.threads.passed(thread)
            self._turn(self.path(stack), (uid,), by_hand=False)  # whether it is, the gradients tell when it is over
            self.loop.stop_at_limit()
            self._open, self._stack, self._extra = True, stack, {}
            return not nested
        except StopRun:
            raise
        except Exception as error:  # noqa: BLE001 - shields the user's backward
            self.failed("hooks", error)
            return False

    def _ends(self) -> None:
        if not self._bracket or self.ranks.averages:  # DDP writes the averages before a traced call returns
            self.finish_backward()
            self.loop.stop_at_limit()
        if self.ranks.averages:
            self.inbox.afterwards(self.ranks.average_written)

    def finish_backward(self) -> None:
        """Close the open backward pass: measure, log, tally."""
        if not self._open:
            return
        started = perf_counter()
        stack, extra = self._stack, self._extra
        self._open, self._stack, self._extra, self._bracket = False, EMPTY, {}, False
        try:
            with no_collection():
                self._log_backward(self.inbox.take(), stack, extra)
        except Exception as error:  # noqa: BLE001 - shields the user's backward
            self.failed("hooks", error)
        self.budget.spent(started)

    def _log_backward(self, received: list[int], stack: Stack, extra: dict[str, Any]) -> None:
        self._fetch()
        cohort = self._cohort(received + self._not_hooked_yet())
        grads = self._grads(cohort.uids)
        uids = cohort.uids
        if self.unseen:
            self.unseen.difference_update(uids)
        fate = self.gradients.arrived(uids, grads, told=self.sees_clears)
        path = self.path(stack)
        self._turn(path, cohort.everyone, by_hand=self._by_hand(anew=bool(fate.gone or fate.zeroed)))
        if self.loop.full:
            return
        self.log_clears(fate)
        event = Backward(
            self.log.tick(), self.log.step, self.log.backwards, path, self._measure(path, cohort, grads),
            fate.added, **extra,
        )  # fmt: skip
        self.log.append(event)
        if self._late is not None and self._late[1] is cohort:
            self._late = (event, cohort, self._late[2])
        else:
            self._count(event)
        for probe in self.after_backward:
            probe({uid: grad for uid, grad in zip(uids, grads, strict=True) if grad is not None}, self.log.step)
        self.log.backwards += 1
        self.ranks.wanted = self.meter.may_be_due()
        if self.log.backwards in (1, 2):
            self.look_around(stack)
        self.registry.training = True
        if self.unnamed is not None and any(not self.registry.entries[uid].owners for uid in uids):
            self.unnamed(stack)

    def _grads(self, uids: Sequence[int]) -> list[torch.Tensor | None]:
        entries = self.registry.entries
        tensors = [entries[uid].ref() for uid in uids]
        return [None if tensor is None else tensor.grad for tensor in tensors]

    def _not_hooked_yet(self) -> list[int]:
        """Parameters that came or were thawed since the last look, and that this pass has reached nevertheless."""
        fresh = self.read_again()
        return [u for u in fresh if (t := self.registry.tensor(u)) is not None and t.grad is not None]

    def _cohort(self, received: list[int]) -> Cohort:
        uids = tuple(received)
        cohort = self.cohorts.get(hash(uids))
        if cohort is None or cohort.order != uids:
            if len(self.cohorts) > 64:
                self.cohorts.clear()
            cohort = self.cohorts[hash(uids)] = Cohort(uids)
        return cohort

    def _measure(self, path: Path, cohort: Cohort, grads: list[torch.Tensor | None]) -> Column:
        if not self.meter.due(path):
            return Column(cohort)
        present = [grad for grad in grads if grad is not None and not grad.is_meta]
        if not present or len(present) < len(grads):
            return Column(cohort)
        own = self.ranks.own(cohort.uids, present)
        measured = self.meter.measure(cohort, own, wait=self.measure_updates, own=own is present)
        if not measured.ready:
            self._late = (_NOTHING, cohort, measured)
            return Column(cohort)
        return Column(cohort, self.ranks.judged(cohort.uids, measured.values(), count=True))

    def _count(self, event: Backward) -> None:
        column = event.norms
        assert isinstance(column, Column)
        self.log.delivered(event.index, event.step, column)
        self.suspicions.arrived(self.log, column, event.added)

    def catch_up(self) -> None:
        """Everything that happened so far is logged and counted."""
        self.finish_backward()
        self._fetch()

    def _fetch(self) -> None:
        """Fetch the norms of the pass before from their device."""
        if self._late is None or self._late[0] is _NOTHING:
            return
        (old, cohort, measured), self._late = self._late, None
        column = Column(cohort, self.ranks.judged(cohort.uids, measured.values(), count=True))
        event = dataclasses.replace(old, norms=column)
        self.log.replace(old, event)
        self._count(event)

    @property
    def late_step(self) -> float:
        """The step of the norms that are still on their way; of all others the numbers are there."""
        return math.inf if self._late is None else self._late[0].step

    # --- names and steps -------------------------------------------------------------------------------------

    def look_around(self, stack: Stack) -> None:
        """Read what the variables of the running frames say about optimizers."""
        self.book.files |= dict.fromkeys(code.co_filename for code, _ in stack.frames)
        self.book.look_around(sys._getframe(1))

    def read_again(self) -> list[int]:
        """Read the names of parameters again if some may have come; returns those that were hooked now."""
        fresh = self.attach_parameters(list(self.inbox.waiting)) if self.inbox.waiting else []
        if not self.discover and (self.registry.dirty or self.log.step - self._read >= _READ_AGAIN):
            self._read = self.log.step
            self.registry.refresh()
            fresh += self.attach_parameters(list(self.registry.entries))
        return fresh

    def _by_hand(self, *, anew: bool = False) -> bool:
        """Whether no optimizer is known, and something was cleared or written since the last pass."""
        return not self.book.known and (anew or not isinstance(self.log.last(), Backward))

    def next_step(self) -> None:
        """The user says that a turn of the loop is over."""
        self.loop.explicit = True
        self.finish_backward()
        self.read_again()
        if not self.book.known:
            entries = self.registry.entries.values()
            self.suspicions.turned(self.log, (e.uid for e in entries if (t := e.ref()) is not None and t.requires_grad))
        self.loop.turn()
        self.loop.stop_at_limit()


_NOTHING = Backward(-1, -1, -1, (), {})
