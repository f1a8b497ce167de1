"""Sinks: where the norms and findings of a live scope go, step by step.

A sink is anything with `write`; the trackers next door are four of them. What a scope tells goes out under

    gradscope/grad_norm/MODEL       scalar, as backward() left the gradients: accumulated, scaled, unclipped
    gradscope/applied_norm/MODEL    scalar, as the optimizer found them: unscaled, clipped
    gradscope/update_ratio/MODEL    scalar
    gradscope/findings              text, whenever the findings have changed
    gradscope/gradient/MODEL.FQN    histogram, where the scope took one

each at the step in which it was measured, and at no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradscope.capture.summaries import StepSummary
    from gradscope.records import Histogram
    from gradscope.report import Report
    from gradscope.scope import Scope

PREFIX = "gradscope"


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
    function is called, which ends the feed: call it after the loop.
    """
    feed = _Feed(scope, sink, every, diagnose_every)
    scope.on_step(feed.step)
    return feed.finish


class _Feed:
    def __init__(self, scope: Scope, sink: Sink, every: int, diagnose_every: int) -> None:
        self._scope, self._sink, self._every, self._diagnose_every = scope, sink, every, diagnose_every
        self._told, self._drawn, self._last, self._open = "", 0, 0, True
        self._due: dict[str, int] = {}
        """Per key the step from which on it is written again."""

    def step(self, summary: StepSummary) -> None:
        if not self._open:
            return
        self._last = summary.step
        measured = {key: v for key, v in scalars(summary).items() if summary.step >= self._due.get(key, 0)}
        if measured:
            self._due.update(dict.fromkeys(measured, summary.step - summary.step % self._every + self._every))
            self._sink.write(summary.step, measured, {}, {})
        if self._diagnose_every and (summary.step + 1) % self._diagnose_every == 0:
            self._diagnose()

    def finish(self) -> None:
        if self._open:
            self._diagnose()  # the steps that were still on their way are told meanwhile
            self._open = False

    def _diagnose(self) -> None:
        report = self._scope.report()
        text = findings_text(report)
        texts = {f"{PREFIX}/findings": text} if text != self._told else {}
        new = report.run.histograms[self._drawn :]
        self._told, self._drawn = text, len(report.run.histograms)
        if texts or new:
            names = {uid: parameter.name for uid, parameter in report.run.parameters.items()}
            drawn = {f"{PREFIX}/gradient/{names[h.uid]}": buckets(h) for h in new if h.uid in names}
            self._sink.write(self._last, {}, texts, drawn)


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
