"""The words of the report: numbers, states and counts, the same in every output."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Finding, Severity, State
from gradscope.records.columns import is_measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradscope.records import Graph, Location, Run
    from gradscope.report import FlowRow, ModelSummary, Report

STATE_WORDS = {
    State.FLOWING: "flowing",
    State.INTERMITTENT: "intermittent",
    State.ZERO: "all zero",
    State.NONE: "no gradient",
    State.NONFINITE: "NaN or Inf",
    State.FROZEN: "frozen",
    State.UNUSED: "not trained",
}

ABSENT = "-"
UNKNOWN = "not kept"
"""Of a gradient that was there and whose norm was not kept."""
UNMEASURED = "not measured"
""" ... and whose norm was not asked for."""

_FRAMES = (2, 5)
"""Of a longer path, so many outermost and innermost frames are shown."""

_FEW_CALLS, _OVER = 5, 0.05
"""Calls, and share of all calls, from which it is told that a line reached a model no more."""


def drawn_steps(graph: Graph) -> str:
    """Which steps a graph shows: mostly one."""
    if graph.first is None:
        return f"step {graph.step}"
    return f"steps {graph.first} {'and' if graph.first + 1 == graph.step else 'to'} {graph.step}"


def calls_without(row: FlowRow, model: str) -> int:
    """In how many of its last calls a backward line reached a model no more; 0 for a few."""
    calls = row.idle.get(model, 0)
    return calls if calls >= max(_FEW_CALLS, _OVER * row.count) else 0


def is_thinned(run: Run) -> bool:
    """Whether norms were measured at some of the passes only."""
    return run.arrivals.measured < run.arrivals.passes


def known_words(run: Run) -> str:
    """Of how many passes norms are there: measured at each n-th, of a long run kept as a sample; empty for all."""
    total = max(run.backwards, len(run.passes))
    kept = sum(is_measured(event.norms) for event in run.passes)
    measured = run.arrivals.measured if run.arrivals.passes == total else total
    if kept == total:
        return ""
    if measured == total:
        return f"norms of {kept:,} of {total:,} passes kept"
    sample = f", {kept:,} of these kept" if kept < measured else ""
    return f"norms measured at {measured:,} of {total:,} passes{sample}"


def is_split(report: Report) -> bool:
    """Whether a rank holds only a part of some parameters, so that the norms of its own passes are of parts."""
    return any(split != 1 for split, _ in report.run.parts.values())


def number(value: float | None) -> str:
    """A norm or ratio in three digits; a dash where there is none."""
    if value is None:
        return ABSENT
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-3 <= size < 999.5:
        return f"{value:.3g}"
    return f"{value:.0f}" if 999.5 <= size < 999_999.5 else f"{value:.1e}".replace(".0e", "e")


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 step`, `2 steps`, `2 backward passes`."""
    return f"{amount} {noun if amount == 1 else plural or noun + 's'}"


def listing(names: Sequence[str], most: int) -> str:
    """The first names whole, then how many more there are; one more than `most` is shown rather than counted."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def steps(finding: Finding) -> str:
    """When: `step 3` or `steps 0 to 7`."""
    if finding.steps is None:
        return ""
    first, last = finding.steps
    return f"step {first}" if first == last else f"steps {first} to {last}"


def seen(finding: Finding) -> str:
    """How it is known: `traced, steps 0 to 7, cause detach`."""
    cause = f"cause {finding.cause}" if finding.cause and finding.cause != "unknown" else "cause unknown"
    return ", ".join(part for part in (str(finding.evidence), steps(finding), cause) if part)


def victims(report: Report, finding: Finding) -> str:
    """How much of its model a finding is about: `2 of 12 parameters`, `all 12 parameters`, `3 parameters`."""
    total = next((m.trainable for m in report.models if m.name == finding.model), 0)
    hit = len(finding.parameters)
    if not hit or hit > total or finding.ranks:  # another rank's model may be another stage of it
        return count(hit, "parameter") if hit else ""
    if hit == total:
        return f"all {hit} parameters" if hit > 1 else "its 1 parameter"
    return f"{hit} of {count(total, 'parameter')}"


def callers(finding: Finding) -> tuple[Location, ...]:
    """The user's frames that lead to the blamed line, without that line."""
    if finding.path and finding.path[-1] == finding.location:
        return finding.path[:-1]
    return finding.path


def split_models(report: Report, most: int) -> tuple[list[ModelSummary], list[ModelSummary]]:
    """Models to show and models to count: all are shown up to `most`, of more only those that are not simply well."""
    models = list(report.models)
    if len(models) <= most:
        return models, []
    blamed = {finding.model for finding in report.findings if finding.severity is not Severity.INFO}
    shown = [m for m in models if m.name in blamed or m.state not in (State.FLOWING, State.FROZEN)]
    shown = shown or models[:most]
    names = {model.name for model in shown}
    return shown, [model for model in models if model.name not in names]


def census(states: Iterable[State]) -> str:
    """`3 flowing, 1 frozen`."""
    found = list(states)
    return ", ".join(f"{found.count(state)} {STATE_WORDS[state]}" for state in State if state in found)


def brief(location: Location) -> str:
    """`file:line` for a headline or a cell: of a file outside the working directory the name alone."""
    file = PurePath(location.file)
    return f"{file.name}:{location.line}" if file.is_absolute() else str(location)


def fold(frames: Sequence[Location]) -> list[Location | int]:
    """A path for reading: of a long one the outermost and innermost frames, and how many lie between."""
    outer, inner = _FRAMES
    hidden = len(frames) - outer - inner
    if hidden <= 1:
        return list(frames)
    return [*frames[:outer], hidden, *frames[-inner:]]


def gap(hidden: int) -> str:
    """What stands for the frames that `fold` left out."""
    return f"... {hidden} more frames ..."
