"""The verdict: what a report comes down to, in one sentence and some counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import SEVERITY_ORDER, Finding, Severity, State
from gradscope.render.words import STATE_WORDS, brief, count, listing, victims

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from gradscope.records import Job, RankRow
    from gradscope.report import Report

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
        uneasy = _stopped(report) or _nothing_flows(report)
        return Verdict(Severity.INFO if uneasy else None, _calm(report), facts)
    return Verdict(worst, _alarm(report, [f for f in loud if f.severity is worst], loud), facts)


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


def _nothing_flows(report: Report) -> bool:
    """Whether no gradient reached anything, though something is there to be trained."""
    flows = any(m.state in (State.FLOWING, State.INTERMITTENT) for m in report.models)
    return report.run.trained and not flows and any(m.trainable for m in report.models)


def _all(models: int) -> str:
    few = {1: "the model", 2: "both models"}
    return few.get(models, f"all {models} models")


def _alarm(report: Report, findings: Sequence[Finding], loud: Iterable[Finding]) -> str:
    first = findings[0]
    start = _HEADLINES.get(State(first.state)) if first.state in set(State) else None
    if start is None or not first.model or _of_ranks(first):
        return first.message.rstrip(".")
    among = [f for f in loud if f.model and not _of_ranks(f)]
    said = f"{start} {_whom(report, first.severity, among, first.state)}"
    for state, words in _HEADLINES.items():  # nothing may hide that another model is lost
        if state != first.state and (whom := _whom(report, first.severity, among, state)):
            said += f"; {words if words.startswith('NaN') else words.lower()} {whom}"
    return said


def _of_ranks(finding: Finding) -> bool:
    """Whether its own sentence has to say on which ranks."""
    return bool(finding.ranks) or finding.code.startswith(_OF_RANKS)


def _whom(report: Report, worst: Severity, findings: Iterable[Finding], state: str) -> str:
    """The models of which the worst is that they are in a state: how much of each is in it, and the lines to blame."""
    models: dict[tuple[str, bool], list[Finding]] = {}
    for finding in findings:
        if finding.state == state:
            models.setdefault((finding.model, finding.earlier), []).append(finding)
    alike = []
    for (model, earlier), mine in models.items():
        if all(f.severity is not worst for f in mine):
            continue
        hit = dict.fromkeys(fqn for f in mine for fqn in f.parameters)
        part = victims(report, replace(mine[0], parameters=tuple(hit)))
        name = f"an earlier {model}" if earlier else model
        whole = " of " not in part
        alike.append(
            (name if whole else f"{part} of {name}") + _lines(mine, hit, "its parameters" if whole else "them")
        )
    return listing(alike, 3)


def _lines(findings: Sequence[Finding], hit: Collection[str], them: str) -> str:
    """The lines of findings, each with how many of `them` it is to blame for where that is not all."""
    held: dict[str, set[str]] = {}
    for finding in findings:
        if finding.location is not None:
            held.setdefault(brief(finding.location), set()).update(finding.parameters)
    lines = [line if names >= set(hit) else f"{len(names)} of {them} at {line}" for line, names in held.items()]
    return f" ({listing(lines, 2)})" if lines else ""
