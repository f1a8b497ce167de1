"""Everything that can be drawn of a report, drawn: what of it failed."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gradscope.diagnosis.finding import Severity
from gradscope.render.html import render_cell, render_page
from gradscope.render.labels import place

if TYPE_CHECKING:
    from gradscope.report import Report

FIGURES = ("plot_norms", "plot_depth", "plot_histograms", "plot_heatmap", "plot_updates", "plot_flow")
BOLD_PLATE = re.compile(r" +[bc]\d+ \[label=.* penwidth=2\.4,")
SMALL_PAGE = 1_000_000
CELL = 600_000
"""No cell of a notebook is larger, its frame included."""
PARAMETERS = 300
"""With at most so many, a page is small."""


def unplated(report: Report, source: str) -> list[str]:
    """The errors and warnings whose line stands on no bold plate of a graph."""
    plates = [line for line in source.splitlines() if BOLD_PLATE.match(line)]
    return [
        f"{finding.code} at {finding.location}"
        for finding in report.findings
        if finding.severity is not Severity.INFO and finding.location
        if not any(place(finding.location) in plate for plate in plates)
    ]


def failures(report: Report) -> Iterator[str]:
    """One line for each picture that could not be made, or is not what it should be."""
    from matplotlib import pyplot

    for depth in (0, 2, 9):
        drawing = report.graph(depth)
        svg = drawing.svg()
        if svg is None:
            yield f"graph at depth {depth}: {drawing.reason}"
        elif not ET.fromstring(svg).tag.endswith("svg"):
            yield f"graph at depth {depth}: no SVG"
        yield from (f"graph at depth {depth}: no plate for {words}" for words in unplated(report, drawing.source))
        if report.graph(depth).source != drawing.source:
            yield f"graph at depth {depth}: two drawings differ"
    for name in FIGURES:
        figure = getattr(report, name)()
        if not figure.axes:
            yield f"{name}: empty"
        pyplot.close(figure)
    page = render_page(report)
    if "No picture" in page or 'data-depth="0"' not in page:
        yield "page: no graph"
    if page != render_page(report):
        yield "page: two pages differ"
    if len(page) > SMALL_PAGE and len(report.run.parameters) <= PARAMETERS:
        yield f"page: {len(page):,} characters"
    cell = render_cell(report)
    if len(cell) > CELL:
        yield f"cell: {len(cell):,} characters"
