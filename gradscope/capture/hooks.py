"""Watching: who received a gradient in which backward, and where that is said, measured and counted.

Always on and cheap: a hook on every parameter says who, one fused pass says how much. Absence is read off by comparing
what an optimizer holds with what arrived; a hook that does not fire proves nothing by itself.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from time import perf_counter
from types import MappingProxyType
from typing import Any

import torch

from gradscope.capture.budget import Budget
from gradscope.capture.contents import Contents
from gradscope.capture.distributed import Ranks
from gradscope.capture.failure import warn_once
from gradscope.capture.inbox import Inbox
from gradscope.capture.ledger import Ledger
from gradscope.capture.loop import Loop
from gradscope.capture.meter import Meter
from gradscope.capture.optimizers import OptimizerBook
from gradscope.capture.parameters import Registry
from gradscope.capture.passing import PassProbe
from gradscope.capture.source import EMPTY, Places, Stack
from gradscope.capture.stepping import StepProbe
from gradscope.capture.suspicions import Suspicions
from gradscope.capture.threads import Threads, caller, here
from gradscope.errors import StopRun
from gradscope.records import Backward, Path

_NO_EXTRA: Mapping[str, Any] = MappingProxyType({})
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
        self.inbox = Inbox(registry, self)
        self.passing = PassProbe(self)
        self._stepping = StepProbe(self)
        self._places = Places()
        self._contents = Contents()
        self._open = self._bracket = self._closed = self._again = False
        self._stack = EMPTY
        self._extra: Mapping[str, Any] = _NO_EXTRA
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
        if fresh and self.ranks.active:
            self.gradients.uncounted = self.ranks.put_together()
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
        self.turn(self.path(stack), extra.get("connected"), by_hand=self.by_hand())
        self.loop.stop_at_limit()
        self._places = Places()
        self._open = self._bracket = not self._closed
        self.inbox.light = self.inbox.doubly = False
        self._stack, self._extra = stack, extra

    def turn(self, path: Path, reached: Collection[int] | None, *, by_hand: bool) -> None:
        """A pass at a line, that reaches at least these parameters if that is known: perhaps a turn is over."""
        self.loop.backward(path, by_hand=by_hand, waited_for=lambda done: self.book.others_hold(reached or (), done))

    def begins(self, uid: int) -> bool:
        """The first gradient of an engine task arrives; returns whether the end of that task ends the pass."""
        if self._bracket and not self.ranks.averages:
            return False
        try:
            stack, thread = caller(sys._getframe(1), self._places)
            nested = stack.reenters()
            if self._bracket or (nested and self._open):
                return self._bracket and not nested
            if self._open:
                self.finish_backward(late=True)
            self.sees_clears &= self.threads.passed(thread)
            self.turn(self.path(stack), (uid,), by_hand=False)  # whether it is, the gradients tell when it is over
            self.loop.stop_at_limit()
            self._open, self._stack, self._extra = True, stack, _NO_EXTRA
            self.inbox.doubly = torch.is_grad_enabled()
            self.inbox.light = self.passing.light and not self.inbox.doubly
            return not nested
        except StopRun:
            raise
        except Exception as error:  # noqa: BLE001 - shields the user's backward
            self.failed("hooks", error)
            return False

    def ends(self) -> None:
        """The engine's pass is over, or nearly: FSDP2 brings the last gradients when it is."""
        self._again = bool(self.gradients.uncounted) and not self._again and not self.ranks.averages
        if self._again:
            self.inbox.afterwards(self.ends)
            return
        if not self._bracket or self.ranks.averages:  # DDP writes the averages before a traced call returns
            self.finish_backward()
            self.loop.stop_at_limit()
        if self.ranks.averages:
            self.inbox.afterwards(self.ranks.average_written)

    def finish_backward(self, *, late: bool = False) -> None:
        """Close the open backward pass: measure, log, tally. `late`: another has begun, and changes gradients."""
        if not self._open:
            return
        started = perf_counter()
        stack, extra = self._stack, self._extra
        self._open, self._stack, self._extra, self._bracket = False, EMPTY, _NO_EXTRA, False
        try:
            self.passing.log(self.inbox.take(), stack, extra, late=late)
        except Exception as error:  # noqa: BLE001 - shields the user's backward
            self.failed("hooks", error)
        self.budget.spent(started)

    def catch_up(self) -> None:
        """Everything that happened so far is logged and counted."""
        self.finish_backward()
        self.passing.fetch()

    @property
    def late_step(self) -> float:
        """The step of the norms that are still on their way; of all others the numbers are there."""
        return math.inf if self.passing.late is None else self.passing.late[0].step

    # --- names and steps -------------------------------------------------------------------------------------

    def look_around(self, stack: Stack) -> None:
        """Read what the variables of the running frames say about optimizers."""
        self.book.files |= dict.fromkeys(code.co_filename for code, _ in stack.frames)
        self.book.look_around(sys._getframe(1))

    def read_again(self) -> list[int]:
        """Read the names of parameters again if some may have come; returns those that were hooked now."""
        thawed = self.inbox.thawed() if self.inbox.waiting else ()
        fresh = self.attach_parameters(thawed) if thawed else []
        if not self.discover and (self.registry.dirty or self.log.step - self._read >= _READ_AGAIN):
            self._read = self.log.step
            if self.registry.dirty or not self._contents.still():
                self.registry.refresh()
                self._contents = Contents(self.registry.models)
                fresh += self.attach_parameters(list(self.registry.entries))
        return fresh

    def by_hand(self, *, anew: bool = False) -> bool:
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
