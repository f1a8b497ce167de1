"""The report as Markdown: for a GitHub step summary, a pull request, an issue, or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradscope.records import Location, Path
from gradscope.render.escape import longest_run, markdown, markdown_cell_code, markdown_code, markdown_prose, plain
from gradscope.render.flows import flow_words
from gradscope.render.table import Cell, Column, Table, flow_table, models_table, place, ranks_table
from gradscope.render.twins import Shown, folded, likewise_all
from gradscope.render.verdict import verdict
from gradscope.render.words import ABSENT, callers, fold, gap, listing, seen, victims

if TYPE_CHECKING:
    from gradscope.report import Report

_NAMED = 6
_RANKS = 16


def render_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown."""
    said = verdict(report)
    parts = [f"## gradscope: {markdown(said.headline)}", markdown(said.counts)]
    if report.models:
        parts.append(_table(models_table(report.models)))
    parts += [part for shown in folded(report.findings) for part in _finding(report, shown)]
    if report.flow:
        parts += ["### Which loss trains what", _table(flow_table(report, report.models))]
        parts.append(f"{flow_words(report).capitalize()}.".replace("backward line", "`backward()` line"))
    if report.run.job is not None:
        job = report.run.job
        parts += ["### Ranks", f"{job.heard} of {job.world} heard.", _table(ranks_table(job, _RANKS))]
    if report.run.notes:
        parts += ["### Not seen", "\n".join(f"- {markdown(note)}" for note in report.run.notes)]
    return "\n\n".join(parts) + "\n"


def _finding(report: Report, shown: Shown) -> list[str]:
    finding = shown.finding
    title = markdown_prose(finding.message or finding.name)
    parts = [f"### {finding.severity} {markdown(finding.code)}: {title}"]
    if finding.location:
        function = f" in {markdown_code(finding.location.function)}" if finding.location.function else ""
        parts.append(f"**{markdown_code(place(finding.location))}**{function}")
        if finding.location.text:
            parts.append(_fence(finding.location.text))
    if finding.fix:
        parts.append(f"**Fix:** {markdown_prose(finding.fix)}")
    return [*parts, _facts(report, shown)]


def _facts(report: Report, shown: Shown) -> str:
    finding = shown.finding
    facts = [f"- Detail: {markdown_prose(finding.detail)}"] if finding.detail else []
    if frames := callers(finding):
        facts.append(f"- Called from: {_frames(frames)}")
    if finding.also:
        facts.append(f"- Or at: {_frames(finding.also)}")
    if finding.parameters:
        names = listing([markdown_code(name or finding.model) for name in finding.parameters], _NAMED)
        part = victims(report, finding)
        facts.append(f"- Parameters: {names}" + (f" ({markdown(part)})" if part else ""))
    if shown.twins:
        facts.append(f"- The same of: {markdown(likewise_all(report, shown))}")
    facts.append(f"- Known: {markdown(seen(finding))} ({markdown(finding.name)})")
    return "\n".join(facts)


def _frames(frames: Path) -> str:
    return ", ".join(_frame(frame) if isinstance(frame, Location) else gap(frame) for frame in fold(frames))


def _frame(frame: Location) -> str:
    return markdown_code(place(frame)) + (f" {markdown_code(frame.text)}" if frame.text else "")


def _fence(text: str) -> str:
    shown = plain(text.strip())
    fence = "`" * max(3, longest_run(shown, "`") + 1)
    return f"{fence}python\n{shown}\n{fence}"


def _table(table: Table) -> str:
    head = "| " + " | ".join(markdown(column.title) for column in table.columns) + " |"
    rule = "| " + " | ".join("---:" if column.number else ":---" for column in table.columns) + " |"
    rows = ["| " + " | ".join(map(_cell, table.columns, row)) + " |" for row in table.rows]
    return "\n".join([head, rule, *rows])


def _cell(column: Column, cell: Cell) -> str:
    if not column.code or column.number or cell.text in ("", ABSENT):
        return markdown(cell.text)
    return markdown_cell_code(cell.text)
