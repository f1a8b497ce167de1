"""The words of the report: numbers, states, counts and the verdict, the same in every output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import SEVERITY_ORDER, Finding, Severity, State
from gradscope.records.columns import is_measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradscope.records import Graph, Job, Location, RankRow, Run
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
_OF_RANKS = "GS6"
"""Codes of findings about ranks, whose sentence says which."""
_HEADLINES = {
    State.NONE: "No gradient reaches",
    State.ZERO: "Only zero gradients reach",
    State.NONFINITE: "NaN or Inf gradients reach",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first thing the reader sees. `worst` is None when all is well; an info if some model got no more gradient."""

    worst: Severity | None
    headline: str
    counts: str


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
    if not hit or hit > total:
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


def verdict(report: Report, findings: Iterable[Finding] | None = None) -> Verdict:
    """What the report, or the given findings of it, come down to."""
    chosen = report.findings if findings is None else tuple(findings)
    loud = [f for f in chosen if f.severity is not Severity.INFO] if findings is None else list(chosen)
    worst = min((f.severity for f in loud), key=SEVERITY_ORDER.index, default=None)
    said = [count(n, s.value) for s in SEVERITY_ORDER if (n := sum(f.severity is s for f in chosen))]
    run = report.run
    ran = [count(run.steps, "step"), count(run.backwards, "backward pass", "backward passes")]
    if run.traced:
        ran.append(f"{run.traced} traced")
    if report.passed:
        said.append(f"{count(report.passed, 'finding')} let pass")
    facts = "; ".join(", ".join(part) for part in (said, ran) if part)
    if worst is None:
        unheard = run.job.unheard if run.job is not None else None
        if unheard is not None:
            why = f"{unheard.missing}{_uneven(report.run.job, unheard)}"
            return Verdict(Severity.WARNING, f"{_calm(report)}; rank {unheard.rank}: {why}", facts)
        return Verdict(Severity.INFO if _stopped(report) else None, _calm(report), facts)
    return Verdict(worst, _alarm(report, [f for f in loud if f.severity is worst]), facts)


def _calm(report: Report) -> str:
    if not report.models:
        return "No model was seen"
    if not report.run.trained:
        return "No backward pass was seen"
    stopped = _stopped(report)
    frozen = {m.name for m in report.models if m.state is State.INTERMITTENT and not m.trainable}
    gone = stopped | frozen
    flowing = [m.name for m in report.models if m.state in (State.FLOWING, State.INTERMITTENT) and m.name not in gone]
    if len(flowing) == len(report.models):
        return f"Gradients flow in {_all(len(flowing))}"
    states = {m.name: STATE_WORDS[m.state] for m in report.models}
    states |= dict.fromkeys(frozen, "frozen since it was trained") | dict.fromkeys(stopped, "none any more")
    states = {
        name: said + (_frozen_at(report, name) if said.startswith("frozen") else "") for name, said in states.items()
    }
    others = listing([f"{name}: {state}" for name, state in states.items() if name not in flowing], 3)
    start = "Gradients" if report.passed or gone or not flowing else "Nothing wrong: gradients"
    return f"{start} flow in {len(flowing)} of {count(len(report.models), 'model')}; {others}"


def _frozen_at(report: Report, name: str) -> str:
    """The line that froze all of a model, where one did and was seen."""
    uids = next((model.parameters for model in report.run.models if model.name == name), ())
    lines = {p.frozen_at[-1:] for uid in uids if not (p := report.run.parameters[uid]).trainable}
    line = lines.pop() if len(lines) == 1 else ()
    return f" at {brief(line[0])}" if line else ""


def _uneven(job: Job | None, failed: RankRow) -> str:
    """That a rank failed in a pass that no other had, all of which came to their end."""
    others = [row for row in job.rows if row.rank != failed.rank] if job is not None else []
    most = max((row.backwards for row in others), default=0)
    if not most or any(row.missing for row in others) or failed.backwards <= most:
        return ""
    return (
        f", in backward pass {failed.backwards} when the others had ended after {most}: give all ranks as many batches"
        " (DistributedSampler, drop_last=True), or use Join"
    )


def _stopped(report: Report) -> set[str]:
    """Models that get no gradient any more, as an info says of all that is trainable in them."""
    trainable = {m.name: m.trainable or m.parameters for m in report.models}
    return {
        f.model for f in report.findings if f.state == State.NONE and f.severity is Severity.INFO
        and f.code == "GS104" and len(f.parameters) == trainable.get(f.model)
    }  # fmt: skip


def _all(models: int) -> str:
    few = {1: "the model", 2: "both models"}
    return few.get(models, f"all {models} models")


def _alarm(report: Report, findings: list[Finding]) -> str:
    first = findings[0]
    start = _HEADLINES.get(State(first.state)) if first.state in set(State) else None
    if start is None or not first.model or first.code.startswith(_OF_RANKS):
        return first.message.rstrip(".")
    alike = list(dict.fromkeys(_whom(report, f) for f in findings if f.state == first.state and f.model))
    said = f"{start} {listing(alike, 3)}"
    broken = [f for f in findings if f.state == State.NONFINITE and f.model and not f.code.startswith(_OF_RANKS)]
    if broken and first.state != State.NONFINITE:  # nothing may hide that a model is lost
        alike = list(dict.fromkeys(_whom(report, f) for f in broken))
        said += f"; {_HEADLINES[State.NONFINITE]} {listing(alike, 3)}"
    return said


def _whom(report: Report, finding: Finding) -> str:
    part = victims(report, finding)
    model = f"an earlier {finding.model}" if finding.earlier else finding.model
    whom = f"{part} of {model}" if " of " in part else model
    return f"{whom} ({brief(finding.location)})" if finding.location else whom
