"""Tracing a whole run whose steps nobody marks: from the start until nothing new turns up, then when something does.

Tracing begins and ends right after an optimizer's step, and may end, too, where a module is called from outside of any
(a loop that updates by hand has no optimizer): the code that runs there is the user's, in no operation of torch, so
that the mode on top of the thread's stack is ours or somebody else's, and is left alone if it is not ours.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.overrides import _get_current_function_mode

from gradscope.capture.capture import Capture

CALM = 100
"""Steps without anything new after which the picture is called stable."""
AGAIN = 10
"""... when tracing began anew for something new: another optimizer, another set of parameters that get a gradient."""
MOST = 1000
"""Steps that are traced at most, for loops that are never stable: they build a model in each turn, say."""
ON_SUSPICION = 2
"""Turns that are traced on suspicion: the first is under way when tracing begins."""


class Continuous:
    """Begins and ends the tracing of one capture."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._seen: tuple[int, ...] = ()
        self._since, self._calm, self._ends = 0, CALM, MOST
        self._news = False
        capture.watcher.loop.on_step.append(self._turned)
        capture.watcher.before_optimizer.append(self._stepped)
        capture.calls.on_outermost.append(self._end_if_due)
        capture.start_tracing()

    def _turned(self, step: int) -> None:
        """A turn is over: see whether there is still something to learn."""
        capture, seen = self._capture, _extent(self._capture)
        if seen != self._seen:
            self._seen, self._since = seen, step
            self._news = capture.tracer is None and capture.traced_steps < MOST
        if capture.tracer is not None and (not capture.tracer.active or step - self._since >= self._calm):
            self._ends = min(self._ends, step)

    def _stepped(self, optimizer: Any, _: bool) -> None:
        """An optimizer is about to step, or (None) has stepped."""
        capture = self._capture
        if optimizer is not None or not capture.is_open:
            return
        step = capture.watcher.log.step
        if capture.tracer is not None:
            self._end_if_due()
        elif self._news:
            self._begin(step, MOST - capture.traced_steps)
        elif capture.watcher.suspicions.take():
            self._begin(step, ON_SUSPICION)

    def _end_if_due(self, _: nn.Module | None = None) -> None:
        capture = self._capture
        if capture.watcher.log.step < self._ends or _get_current_function_mode() is not capture.tracer:  # type: ignore[no-untyped-call]
            return
        capture.stop_tracing()
        capture.settle()
        capture.watcher.suspicions.dismiss()

    def _begin(self, step: int, most: int) -> None:
        self._capture.start_tracing()
        self._since, self._calm, self._ends, self._news = step, AGAIN, step + most, False


def _extent(capture: Capture) -> tuple[int, ...]:
    """How much was seen; the same again means that nothing new turned up."""
    registry, watcher = capture.registry, capture.watcher
    held = sum(len(known.uids) for known in watcher.book.known)
    names = len(registry.models), len(registry.entries), registry.freezes
    return (*names, len(watcher.book.known), held, len(watcher.passing.cohorts), *capture.origins.extent())
