"""Tracing a whole run whose steps nobody marks: from the start until nothing new turns up, then on suspicion only.

Tracing begins and ends right after an optimizer's step: the code that runs there is the user's, in no operation of
torch, so that the mode on top of the thread's stack is ours or somebody else's, and is left alone if it is not ours.
"""

from __future__ import annotations

from typing import Any

from torch.overrides import _get_current_function_mode

from gradscope.capture.capture import Capture

CALM = 100
"""Steps without anything new after which the picture is called stable."""
MOST = 1000
"""Steps that are traced in a row at most, for loops that never are: they build a model in each turn, say."""
ON_SUSPICION = 2
"""Turns that are traced on suspicion: the first is under way when tracing begins."""


class Continuous:
    """Begins and ends the tracing of one capture."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._seen: tuple[int, ...] = ()
        self._since = self._ends = 0
        capture.watcher.on_step.append(self._turned)
        capture.watcher.before_optimizer.append(self._stepped)
        capture.start_tracing()
        self._ends = MOST

    def _turned(self, step: int) -> None:
        """A turn is over: see whether there is still something to learn."""
        if self._capture.tracer is not None:
            seen = _extent(self._capture)
            if seen != self._seen:
                self._seen, self._since = seen, step
            if not self._capture.tracer.active or step - self._since >= CALM:
                self._ends = min(self._ends, step)

    def _stepped(self, optimizer: Any, _: bool) -> None:
        """An optimizer is about to step, or (None) has stepped."""
        capture = self._capture
        if optimizer is not None or not capture.is_open:
            return
        step = capture.watcher.log.step
        if capture.tracer is not None:
            if step >= self._ends and _get_current_function_mode() is capture.tracer:  # type: ignore[no-untyped-call]
                capture.stop_tracing()
                capture.settle()
                capture.watcher.suspicions.dismiss()
        elif capture.watcher.suspicions.take():
            capture.start_tracing()
            self._since, self._ends = step, step + ON_SUSPICION


def _extent(capture: Capture) -> tuple[int, ...]:
    """How much was seen; the same again means that nothing new turned up."""
    registry, watcher = capture.registry, capture.watcher
    held = sum(len(known.uids) for known in watcher.book.known)
    names = len(registry.models), len(registry.entries), registry.freezes
    return (*names, len(watcher.book.known), held, len(watcher.cohorts), *capture.origins.extent())
