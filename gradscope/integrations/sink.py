"""Sinks: where the norms and findings of a live scope go, step by step.

A sink is anything with `write`; the trackers next door are four of them. What a scope tells goes out under

    gradscope/grad_norm/MODEL       scalar, as backward() left the gradients: accumulated, scaled, unclipped
    gradscope/applied_norm/MODEL    scalar, as the optimizer found them: unscaled, clipped
    gradscope/update_ratio/MODEL    scalar, the largest over its parameters of |change| / |value|
    gradscope/findings              text, whenever there are other findings than before, and at the end
    gradscope/gradient/MODEL.FQN    histogram: of every n-th step with watch(..., histograms=n), else of what is at
                                    hand when findings are looked for

each at the step in which it was measured, and at no other.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from gradscope.errors import ProbeWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradscope.capture.summaries import StepSummary
    from gradscope.records import Histogram
    from gradscope.report import Report
    from gradscope.scope import Scope

PREFIX = "gradscope"
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram as trackers want it: `counts[i]` values lie between `edges[i]` and `edges[i + 1]`."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Sink(Protocol):
    """Takes what was measured at a step. Keys are paths separated by slashes."""

    def write(
        self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str], histograms: Mapping[str, Buckets]
    ) -> None:
        """Record these at this step; any of the mappings may be empty."""


def attach_sink(scope: Scope, sink: Sink, *, every: int = 1, diagnose_every: int = 100) -> Callable[[], None]:
    """Write every n-th step of the scope to the sink; what was not measured in it, at the first step after it that is.

    Diagnosis costs more than a norm, so findings go out every `diagnose_every` steps (0: never), and when the returned
    function is called, which ends the feed: call it after the loop. A sink that raises is warned of and gets no more.
    """
    feed = _Feed(scope, sink, every, diagnose_every)
    scope.on_step(feed.step)
    return feed.finish


class _Feed:
    def __init__(self, scope: Scope, sink: Sink, every: int, diagnose_every: int) -> None:
        self._scope, self._sink, self._every, self._diagnose_every = scope, sink, every, diagnose_every
        self._told, self._last, self._open = "", 0, True
        self._kinds: tuple[object, ...] = ()
        """The findings that were told last, without their numbers."""
        self._due: dict[str, int] = {}
        """Per key the step from which on it is written again."""
        self._drawn: dict[str, int] = {}
        """Per parameter the step of the last histogram written."""
        self._asked = False
        """The scope counts histograms at the steps that the user asked for."""

    def step(self, summary: StepSummary) -> None:
        if not self._open:
            return
        self._last = summary.step
        measured = {key: v for key, v in scalars(summary).items() if summary.step >= self._due.get(key, 0)}
        if measured:
            self._due.update(dict.fromkeys(measured, summary.step - summary.step % self._every + self._every))
            self._write(summary.step, measured)
        self._asked |= bool(summary.histograms)
        self._draw(summary.histograms.items())
        if self._diagnose_every and (summary.step + 1) % self._diagnose_every == 0:
            self._diagnose()

    def finish(self) -> None:
        if self._open:
            self._diagnose(last=True)  # the steps that were still on their way are told meanwhile
            self._open = False

    def _diagnose(self, *, last: bool = False) -> None:
        if not self._open:
            return
        report = self._scope.report()
        if not self._asked:
            parameters = report.run.parameters
            self._draw((parameters[h.uid].name, h) for h in report.run.histograms if h.uid in parameters)
        text = findings_text(report)
        kinds = tuple((f.code, f.severity, f.model, f.cause, f.location) for f in report.findings)
        if text != self._told and (last or kinds != self._kinds or not self._told):
            self._told, self._kinds = text, kinds
            self._write(self._last, texts={f"{PREFIX}/findings": text})

    def _draw(self, histograms: Iterable[tuple[str, Histogram]]) -> None:
        """Write those that are new, each at the step in which it was counted."""
        steps: dict[int, dict[str, Buckets]] = {}
        for name, histogram in histograms:
            if histogram.step > self._drawn.get(name, -1):
                self._drawn[name] = histogram.step
                steps.setdefault(histogram.step, {})[f"{PREFIX}/gradient/{name}"] = buckets(histogram)
        for step in sorted(steps):
            self._write(step, histograms=steps[step])

    def _write(
        self,
        step: int,
        scalars: Mapping[str, float] = _NONE,
        texts: Mapping[str, str] = _NONE,
        histograms: Mapping[str, Buckets] = _NONE,
    ) -> None:
        """A tracker that fails ends the feed and not the training."""
        if not self._open:
            return
        try:
            self._sink.write(step, scalars, texts, histograms)
        except Exception as error:  # noqa: BLE001 - shields the user's training
            self._open = False
            warnings.warn(
                f"gradscope: {type(self._sink).__name__} failed at step {step} and gets nothing more; training goes on"
                f" ({type(error).__name__}: {error})",
                ProbeWarning,
                stacklevel=2,
            )


def scalars(summary: StepSummary) -> dict[str, float]:
    """The numbers of a step under their keys; what did not come or was not measured in it has none."""
    kinds = (
        ("grad_norm", summary.grad_norms),
        ("applied_norm", summary.applied_norms),
        ("update_ratio", summary.update_ratios),
    )
    return {f"{PREFIX}/{kind}/{name}": v for kind, values in kinds for name, v in values.items() if v is not None}


def findings_text(report: Report) -> str:
    """The findings as Markdown, worst first."""
    lines = [f"- **{f.severity.value} {f.code} {f.name}** `{f.model}`: {f.message} {f.fix}" for f in report.findings]
    return "\n".join(lines) or "no findings"


def buckets(histogram: Histogram) -> Buckets:
    """A histogram over magnitudes as one over values: the negative ones, zero in the middle, the positive ones."""
    negative, positive, low = histogram.negative, histogram.positive, histogram.low
    edges = [-(2.0 ** (low + i)) for i in range(len(negative), -1, -1)]
    edges += [2.0 ** (low + i) for i in range(len(positive) + 1)]
    return Buckets(tuple(edges), (*reversed(negative), histogram.zeros, *positive))
