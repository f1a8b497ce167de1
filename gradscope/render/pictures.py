"""The figures and the graph of a report, ready to stand in HTML.

* Figures are images with their own document: their ids and styles cannot meet those of the page or of each other.
* The graph is part of the page, so that it can be zoomed without blur, searched and read out. It comes escaped
  from Graphviz; the page's content policy forbids any script in it.
* Without matplotlib or Graphviz a report is still a report: the picture is left out.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from gradscope.errors import MissingExtraError
from gradscope.render.levels import ROOM, Level, draw_page_levels
from gradscope.render.markup import Markup
from gradscope.render.night import figure_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from gradscope.report import Report


_SAFE = " !$'()*+,-./:;=?@[]^_`{|}~"
_NUMBERS = re.compile(r' (d|x|y|points)="([^"]+)"')
_DIGITS = re.compile(r"(\.\d\d)\d+")
_KEEP = r"\1"
_HALF, _WHOLE = (5.75, 3.5), (11.8, 11.0)
"""Inches, which browsers show as 96 pixels each: largest sizes of a figure on the page, so that none is shrunk."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure: its title, what it shows in words, and its SVG document."""

    title: str
    says: str
    svg: str
    wide: bool
    """Whether it is drawn for the whole width of a page, or for half of it."""

    @property
    def uri(self) -> str:
        """As an address whose text stays text: a third smaller than in base 64."""
        return "data:image/svg+xml," + quote(self.svg.encode("utf-8", "replace"), safe=_SAFE)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The graph: its SVG element, or None and the reason, its source, and all views of it: depths, opened modules."""

    svg: Markup | None
    source: str
    reason: str
    levels: tuple[Level, ...] = ()


def figures(report: Report) -> list[Picture]:
    """The figures that have something to show, small ones in pairs; none without matplotlib."""
    wanted = [each for each in _FIGURES if each[3](report)]
    small = [each[0] for each in wanted if each[4]]
    halves = set(small[: len(small) // 2 * 2])
    try:
        return [
            Picture(title, says, _svg(_draw(report, name, _HALF if name in halves else _WHOLE)), name not in halves)
            for name, title, says, _, _ in wanted
        ]
    except (ImportError, MissingExtraError):
        return []


def graph(report: Report, room: int = ROOM) -> Drawn | None:
    """The traced step as a graph; without one, models and backward lines. None if nothing was seen at all.

    `room`: characters that all views of it may take.
    """
    if not report.models:
        return None
    levels, drawing = draw_page_levels(report, room)
    svg = drawing.svg()
    return Drawn(None if svg is None else Markup(svg), drawing.source, drawing.reason or "", levels)


def data_uri(svg: str) -> str:
    """An SVG document as the address of an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")


def _draw(report: Report, name: str, size: tuple[float, float]) -> Figure:
    from gradscope.render import figures as module
    from gradscope.render.figures_style import WIDEST

    width, height = size
    token = WIDEST.set(width)
    try:
        figure: Figure = getattr(module, name)(report)
    finally:
        WIDEST.reset(token)
    figure.set_size_inches(
        width if figure.get_figwidth() > 8 or size == _HALF else 8.0, min(figure.get_figheight(), height)
    )
    return figure


def _svg(figure: Figure) -> str:
    """Text stays text and ids come from a fixed salt: small, and the same figure gives the same characters."""
    import matplotlib

    target = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gradscope"}):
        figure.savefig(
            target, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = _NUMBERS.sub(_shortened, target.getvalue())
    return text.replace("<defs>", f"<style>{figure_rules()}</style><defs>", 1)


def _shortened(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point."""
    name, value = attribute.groups()
    return f' {name}="{_DIGITS.sub(_KEEP, value)}"'


def _has_backwards(report: Report) -> bool:
    return bool(report.run.backward_events)


def _has_series(report: Report) -> bool:
    return len(report.run.backward_events) > 1


def _has_histograms(report: Report) -> bool:
    return bool(report.run.histograms)


def _has_updates(report: Report) -> bool:
    return any(event.ratios for event in report.run.step_events)


_FIGURES: tuple[tuple[str, str, str, Callable[[Report], bool], bool], ...] = (
    (
        "plot_norms",
        "Gradient norm over time",
        "Gradient norm of each model over the backward passes.",
        _has_series,
        True,
    ),
    (
        "plot_updates",
        "Size of the updates",
        "Norm of the update over norm of the weight, per model.",
        _has_updates,
        True,
    ),
    ("plot_depth", "Gradient norm over depth", "Gradient norm along the depth of each model.", _has_backwards, False),
    (
        "plot_histograms",
        "Histograms",
        "How the entries of the gradients are distributed, per model.",
        _has_histograms,
        False,
    ),
    ("plot_heatmap", "Every parameter over time", "Gradient norm of each parameter at each pass.", _has_series, False),
)
"""Function, title, what it shows, whether there is something to show, and whether half the width of a page does."""
