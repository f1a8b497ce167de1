"""What each turn of the loop did, in a few numbers per model: only what it delivered itself, measured in it.

Nobody waits for a device: a step whose norms are still there is told when they have come, after the next pass or at
the end, under its own number.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradscope.records import Backward, Histogram, OptimizerStep
from gradscope.records.columns import receivers, unmeasured

if TYPE_CHECKING:
    from gradscope.capture.histograms import HistogramBook
    from gradscope.capture.hooks import Watcher


@dataclass(frozen=True, slots=True)
class StepSummary:
    """What one turn of the loop did, for progress bars and trackers. None: nothing came, or it was not measured."""

    step: int
    grad_norms: dict[str, float | None]
    """As backward() left the gradients: accumulated, scaled, unclipped."""
    update_ratios: dict[str, float | None]
    applied_norms: dict[str, float | None] = field(default_factory=dict)
    """As the optimizer found them: unscaled, clipped."""
    histograms: dict[str, Histogram] = field(default_factory=dict)
    """By parameter (`model.fqn`) what was counted in this step, where `watch(..., histograms=n)` asked for it."""


class Teller:
    """Hands a summary of each step to one callback, in order."""

    def __init__(self, watcher: Watcher, book: HistogramBook, callback: Callable[[StepSummary], None]) -> None:
        self._watcher, self._book, self._callback = watcher, book, callback
        self._waiting: deque[int] = deque()

    def turned(self, step: int) -> None:
        """A step is over."""
        self._waiting.append(step)
        self.tell()

    def tell(self) -> None:
        """Tell of the steps whose numbers have come."""
        while self._waiting and self._waiting[0] < self._watcher.late_step:
            step = self._waiting.popleft()
            self._callback(self._summary(step))

    def _summary(self, step: int) -> StepSummary:
        newest = itertools.takewhile(lambda event: event.step >= step, reversed(self._watcher.log.events()))
        events = [event for event in newest if event.step == step][::-1]
        steps = [event for event in events if isinstance(event, OptimizerStep)]
        left = _Sizes(event.norms for event in events if isinstance(event, Backward))
        used = _Sizes(event.norms for event in steps)
        ratios = {uid: ratio for event in steps for uid, ratio in event.ratios.items()}
        models = [(model.name, model.uids) for model in self._watcher.registry.models]
        return StepSummary(
            step,
            {name: left.of(uids) for name, uids in models},
            {name: max((ratios[u] for u in uids if u in ratios), default=None) for name, uids in models},
            {name: used.of(uids) for name, uids in models},
            self._histograms(step),
        )

    def _histograms(self, step: int) -> dict[str, Histogram]:
        if self._book.every is None:
            return {}
        counted = [histogram for histogram in self._book.latest.values() if histogram.step == step]
        return {self._watcher.registry.name_of(histogram.uid): histogram for histogram in counted}


class _Sizes:
    """Norms of single parameters at several moments of one step; the last one counts."""

    def __init__(self, moments: Iterable[Mapping[int, float | None]]) -> None:
        self._last: dict[int, float] = {}
        self._unknown: set[int] = set()
        for norms in moments:
            if len(unmeasured(norms)) == len(norms):
                self._unknown |= receivers(norms)
            else:
                self._last.update((uid, norm) for uid, norm in norms.items() if norm is not None)
        self._unknown.difference_update(self._last)

    def of(self, uids: Iterable[int]) -> float | None:
        """The 2-norm over these, unless some of them have one that was not measured: a part is no norm."""
        uids = list(uids)
        if not self._unknown.isdisjoint(uids):
            return None
        found = [self._last[uid] for uid in uids if uid in self._last]
        return sum(norm * norm for norm in found) ** 0.5 if found else None
