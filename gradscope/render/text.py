"""The report as text for a terminal, a log, or the message of a failed assertion.

* Names are never shortened: a log that hides which parameter it speaks of is useless. What does not fit runs over.
  Source lines are: their place stands beside them.
* Width, colour and character set are arguments: the caller knows where the text goes.
* A healthy run says little.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Finding, Severity
from gradscope.records import Location
from gradscope.render.escape import paragraph, plain
from gradscope.render.flows import flow_words
from gradscope.render.grid import Paint, grid, shortened
from gradscope.render.table import Tone, flow_table, models_table, place, ranks_table, turned_flow_table
from gradscope.render.twins import Shown, folded, likewise_all
from gradscope.render.verdict import verdict
from gradscope.render.words import (
    callers,
    census,
    count,
    fold,
    gap,
    listing,
    seen,
    split_models,
    victims,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradscope.report import Report

_SEVERITY_TONES = {Severity.ERROR: Tone.NONE, Severity.WARNING: Tone.ZERO, Severity.INFO: Tone.SOMETIMES}
_MODELS = 20
"""Of more models than these, only those that are not well have a row."""
_RANKS = 8
"""Of more ranks than these, those that were not heard come first."""
_NAMED = 4
"""So many victims are named; a list longer than a line is not read."""
_LABEL = 10
_CLASS, _LINE = 10, 24
"""Columns that the class of a model and a source line keep when a table is too wide: the file and line are there."""


@dataclass(frozen=True, slots=True)
class _Style:
    width: int
    paint: Paint


def render_text(report: Report, *, width: int = 100, color: bool = False, unicode: bool = True) -> str:
    """The report as lines of at most `width` characters where names allow; ends without a line break."""
    style = _Style(width, Paint(color))
    blocks = [_verdict(report, style, unicode), *_models(report, style)]
    blocks += [_finding(report, shown, style) for shown in folded(report.findings)]
    if report.findings and (len(report.flow) > 1 or len(report.models) > 1):
        blocks += _flow(report, style)
    blocks += _ranks(report, style)
    if report.run.notes:
        blocks.append(["not seen:", *(line for note in report.run.notes for line in _wrap(note, style, "  - "))])
    return _joined(blocks, unicode)


def render_failure(report: Report, findings: Iterable[Finding], *, allowing: str = "assert_flow") -> str:
    """What a failed `assert_flow()` says: the verdict, each finding that failed it, and how to let just those pass."""
    failed = tuple(findings)
    style = _Style(100, Paint(False))
    blocks = [[verdict(report, failed).headline], *(_finding(report, shown, style) for shown in folded(failed))]
    names = dict.fromkeys(name for finding in failed for name in _meant(report, finding))
    if names:
        blocks.append([f"If it is meant: {allowing}(allow=[{', '.join(map(repr, names))}])"])
    return _joined(blocks, unicode=True)


def _meant(report: Report, finding: Finding) -> list[str]:
    """The least that lets a finding pass: its few parameters or its model; its code lets all models pass."""
    if not finding.model:
        return [finding.code]
    few = len(finding.parameters) < _NAMED and all(finding.parameters)
    if few and victims(report, finding).partition(" ")[0] not in ("all", "its"):
        return [f"{finding.model}.{fqn}" for fqn in finding.parameters]
    return [finding.model]


def _joined(blocks: list[list[str]], unicode: bool) -> str:
    text = "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks if block)
    return text if unicode else text.encode("ascii", "backslashreplace").decode("ascii")


def _verdict(report: Report, style: _Style, unicode: bool) -> list[str]:
    said = verdict(report)
    marks = "\u2717!\u2713~" if unicode else "x!+~"
    mark, tone = {
        Severity.ERROR: (marks[0], Tone.NONE),
        Severity.WARNING: (marks[1], Tone.ZERO),
        Severity.INFO: (marks[3], Tone.SOMETIMES),
        None: (marks[2], Tone.GOOD) if report.run.trained else (marks[1], Tone.ZERO),
    }[said.worst]
    if said.worst in (None, Severity.INFO):
        return [style.paint(f"{mark} {paragraph(said.headline)}", tone, bold=True) + f" ({said.counts})"]
    lines = _wrap(said.headline, style, f"{mark} ")
    return [style.paint(line, tone, bold=True) for line in lines] + [f"  {said.counts}"]


def _models(report: Report, style: _Style) -> list[list[str]]:
    shown, rest = split_models(report, _MODELS)
    if not shown:
        return []
    lines = grid(models_table(shown), style.paint, width=style.width, fixed=1, shrinks=(1, _CLASS))
    if rest:
        lines.append(f"  and {count(len(rest), 'more model', 'more models')}: {census(m.state for m in rest)}")
    return [lines]


def _flow(report: Report, style: _Style) -> list[list[str]]:
    if not report.flow:
        return []
    title = f"flow: {flow_words(report)}"
    models = split_models(report, _MODELS)[0]
    lines = grid(flow_table(report, models), style.paint, width=style.width, fixed=3, shrinks=(1, _LINE))
    if "" in lines:  # in several blocks
        turned = grid(turned_flow_table(report, models), style.paint, width=style.width, fixed=1)
        lines = lines if "" in turned else turned
    return [[title, *lines]]


def _ranks(report: Report, style: _Style) -> list[list[str]]:
    job = report.run.job
    if job is None:
        return []
    title = f"ranks: {job.heard} of {job.world} heard; the rest of this report tells what rank {job.reporter} saw"
    lines = grid(ranks_table(job, _RANKS), style.paint, width=style.width, fixed=1)
    if job.world > _RANKS:
        lines.append(f"  and {count(job.world - _RANKS, 'more rank')}")
    return [[title, *lines]]


def _finding(report: Report, shown: Shown, style: _Style) -> list[str]:
    finding = shown.finding
    head = f"{finding.severity} {finding.code} "
    first, *rest = _wrap(finding.message or finding.name, style, head, len("  "))
    lines = [style.paint(first[: len(head)], _SEVERITY_TONES[finding.severity], bold=True) + first[len(head) :], *rest]
    if finding.location:
        lines += _labelled("at", _at(finding.location, style))
    if finding.severity is not Severity.INFO and (frames := callers(finding)):
        lines += _labelled("from", [style.paint(line, Tone.QUIET) for line in _frames(frames, style)])
    if finding.also:
        lines += _labelled("or at", [line for other in finding.also for line in _quoted(other, style)])
    if finding.parameters:
        lines += _labelled("params", _params(report, finding, style))
    if shown.twins:
        lines += _labelled("same", _wrap(f"of {likewise_all(report, shown)}", style, "", indent=_LABEL))
    for label, text in (("detail", finding.detail), ("fix", finding.fix)):
        if text:
            lines += _labelled(label, _wrap(text, style, "", indent=_LABEL))
    return lines + _labelled("known", [style.paint(plain(seen(finding)), Tone.QUIET)])


def _params(report: Report, finding: Finding, style: _Style) -> list[str]:
    names = listing([plain(name or finding.model) for name in finding.parameters], _NAMED)
    part = victims(report, finding)
    return _wrap(f"{names} ({part})" if part and finding.model else names, style, "", indent=_LABEL)


def _at(location: Location, style: _Style) -> list[str]:
    first, *quoted = _quoted(location, style)
    return [style.paint(first, Tone.NEUTRAL, bold=True), *quoted]


def _where(location: Location) -> str:
    return plain(place(location)) + (f" in {plain(location.function)}" if location.function else "")


def _quoted(location: Location, style: _Style) -> list[str]:
    text = shortened(plain(location.text.strip()), max(style.width - _LABEL - 2, _LINE))
    return [_where(location), f"  {text}"] if text else [_where(location)]


def _frames(frames: tuple[Location, ...], style: _Style) -> list[str]:
    """Frames outermost first, in two columns: place, source line."""
    shown = fold(frames)
    wide = max(len(_where(frame)) for frame in shown if isinstance(frame, Location))
    room = max(style.width - _LABEL - wide - 2, _LINE)
    return [
        f"{_where(frame).ljust(wide)}  {shortened(plain(frame.text.strip()), room)}"
        if isinstance(frame, Location)
        else gap(frame)
        for frame in shown
    ]


def _labelled(label: str, lines: list[str]) -> list[str]:
    starts = [f"  {label}:".ljust(_LABEL), *[" " * _LABEL] * (len(lines) - 1)]
    return [start + line for start, line in zip(starts, lines, strict=True)]


def _wrap(text: str, style: _Style, first: str, hang: int | None = None, indent: int = 0) -> list[str]:
    """Running text broken at spaces only, because a name broken in two cannot be searched for."""
    lines = textwrap.wrap(
        paragraph(text),
        max(style.width - indent, 40),
        initial_indent=first,
        subsequent_indent=" " * (len(first) if hang is None else hang),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [first]
