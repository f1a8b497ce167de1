"""The report in a notebook.

* A notebook that is not trusted, or is shown on a code host, keeps tables, inline styles, `<details>` and images
  with data: addresses, and drops styles, scripts, SVG and frames. So the summary is made of the former alone.
* The page without its figures follows in a frame, where its styles and ids cannot meet those of the notebook.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Severity
from gradscope.render.markup import Markup, join, tag, words
from gradscope.render.pictures import data_uri
from gradscope.render.table import Cell, Column, Table, Tone, flow_table, models_table, place
from gradscope.render.twins import Shown, folded, likewise_all
from gradscope.render.verdict import verdict
from gradscope.render.words import census, split_models

if TYPE_CHECKING:
    from gradscope.render.pictures import Drawn
    from gradscope.report import Report

_COLOURS = {
    Tone.QUIET: "#717982",
    Tone.GOOD: "#00855f",
    Tone.SOMETIMES: "#2a86c7",
    Tone.ZERO: "#b07500",
    Tone.NONE: "#d0500a",
    Tone.BROKEN: "#b65391",
}
"""Legible on white and on black, because a notebook does not say which it is."""
_MODELS = 20
_SEVERITIES = {Severity.ERROR: Tone.NONE, Severity.WARNING: Tone.ZERO, Severity.INFO: Tone.SOMETIMES}
_WIDTH = re.compile(r'<svg width="([\d.]+)pt"')
_LEAST = 0.6 * 4 / 3
"""Pixels per point of a picture that is shrunk: six tenths of its size."""
_OURS = 'iframe[title="gradscope report"]'
_DARK = ('[data-jp-theme-light="false"]', ".vscode-dark", '[theme="dark"]')
_LIGHT = ('[data-jp-theme-light="true"]', ".vscode-light")
_SCHEMES = Markup(
    "".join(f"{a} {_OURS}{{color-scheme:{b}}}" for themes, b in ((_DARK, "dark"), (_LIGHT, "light")) for a in themes)
)
"""A page in a frame goes by the system's theme, unless the notebook (Jupyter, VS Code, Colab) says its own."""
_RULE = "1px solid rgba(128,128,128,.35)"


def cell(report: Report, page: str | None, drawn: Drawn | None) -> str:
    """The summary, and `page` in a frame if there is one."""
    said = verdict(report)
    colour = _COLOURS[_SEVERITIES[said.worst] if said.worst else Tone.GOOD]
    title = tag("b", words(said.headline), style=f"color:{colour};font-size:1.15em")
    parts = [tag("div", title, tag("div", said.counts, style="opacity:.75"))]
    shown, rest = split_models(report, _MODELS)
    if shown:
        parts.append(_table(models_table(shown)))
    if rest:
        parts.append(_folded(f"{len(rest)} more models: {census(m.state for m in rest)}", _table(models_table(rest))))
    parts += [_finding(report, shown) for shown in folded(report.findings)]
    if report.findings and len(report.flow) > 1:
        parts.append(_folded("Which loss trains what", _table(flow_table(report, report.models))))
    if drawn is not None and drawn.svg is not None:
        parts.append(_folded("Graph", _image(drawn.svg), unfolded=not report.ok))
    parts.append(_frame(page) if page else tag("div", "The full page is large: report.save('report.html')"))
    return tag("div", *parts, style="line-height:1.45")


def _finding(report: Report, shown: Shown) -> Markup:
    finding = shown.finding
    colour = _COLOURS[_SEVERITIES[finding.severity]]
    head = join(tag("b", f"{finding.severity} {finding.code}", style=f"color:{colour}"), " ", words(finding.message))
    parts: list[str] = []
    if finding.location:
        function = f" in {finding.location.function}" if finding.location.function else ""
        parts.append(tag("div", tag("b", tag("code", place(finding.location))), function))
        style = f"margin:4px 0;padding:4px 8px;border-left:3px solid {colour};overflow-x:auto"
        label = f"Source of {place(finding.location)}, finding {shown.index + 1}"
        parts.append(
            tag("pre", tag("code", finding.location.text), style=style, tabindex="0", role="region", aria_label=label)
        )
    if finding.fix:
        parts.append(tag("div", tag("b", "Fix: "), words(finding.fix)))
    if shown.twins:
        parts.append(tag("div", tag("b", "The same of: "), likewise_all(report, shown)))
    unfolded = None if finding.severity is Severity.INFO else ""
    return tag("details", tag("summary", head), tag("div", *parts, style="margin:4px 0 8px 18px"), open=unfolded)


def _table(content: Table) -> Markup:
    head = tag(
        "tr", *(tag("th", column.title, style=_style(column) + ";font-weight:600") for column in content.columns)
    )
    rows = [tag("tr", *map(_cell, content.columns, row)) for row in content.rows]
    style = "border-collapse:collapse;margin:8px 0;color:inherit"
    return tag("table", tag("thead", head), tag("tbody", *rows), style=style)


def _cell(column: Column, value: Cell) -> Markup:
    colour = f";color:{_COLOURS[value.tone]}" if value.tone in _COLOURS else ""
    text = tag("code", value.text) if column.code and not column.number and value.text else value.text
    return tag("td", text, style=_style(column) + colour)


def _style(column: Column) -> str:
    side = "right" if column.number else "left"
    return f"text-align:{side};padding:3px 12px 3px 0;border-bottom:{_RULE};background:transparent"


def _folded(title: str, content: Markup, *, unfolded: bool = False) -> Markup:
    return tag("details", tag("summary", title), content, open="" if unfolded else None)


def _frame(page: str) -> Markup:
    style = f"width:100%;height:640px;border:{_RULE};border-radius:6px;background:transparent"
    frame = Markup(
        f'<iframe sandbox="allow-scripts" title="gradscope report" style="{style}" srcdoc="{_quoted(page)}">'
    )
    return _folded("Full report", join(frame, Markup("</iframe>"), tag("style", _SCHEMES)))


def _image(svg: str) -> Markup:
    """The graph shrunk to fit, so that its end is not out of sight; a very wide one scrolls and stays legible."""
    width = _WIDTH.search(svg)
    least = f";min-width:{_LEAST * float(width[1]):.0f}px" if width else ""
    style = f"max-width:100%;max-height:1200px{least}"
    image = tag("img", src=data_uri(svg), alt="Graph of the traced step", style=style)
    return tag("div", image, style="overflow-x:auto", tabindex="0", role="region", aria_label="Graph, scrolled")


def _quoted(page: str) -> str:
    """A whole document as the value of an attribute: only what ends or changes the value is replaced."""
    return page.replace("&", "&amp;").replace('"', "&quot;")
