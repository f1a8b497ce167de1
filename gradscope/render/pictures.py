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
from functools import cache
from typing import TYPE_CHECKING

from gradscope.errors import MissingExtraError
from gradscope.render.levels import Level, draw_page_levels
from gradscope.render.markup import Markup
from gradscope.render.palette import DEAD, INK, MODEL_COLOURS, PAPER, TEXT, shade, tint

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from gradscope.report import Report


_BOX = re.compile(r'viewBox="\S+ \S+ (\S+) (\S+)"')
_TINTS = (0.15, 0.22, 0.35)
"""The greys of the figures, as shares of `DEAD`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure: its title, what it shows in words, and its SVG document."""

    title: str
    says: str
    svg: str

    @property
    def uri(self) -> str:
        return data_uri(self.svg)

    @property
    def wide(self) -> bool:
        """Whether it needs the whole width of a page to be read."""
        found = _BOX.search(self.svg)
        return found is not None and float(found[1]) > 2.5 * float(found[2])


@dataclass(frozen=True, slots=True)
class Drawn:
    """The graph: its SVG element, or None and the reason, its source, and all depths it can be looked at in."""

    svg: Markup | None
    source: str
    reason: str
    levels: tuple[Level, ...] = ()


def figures(report: Report) -> list[Picture]:
    """The figures that have something to show; none without matplotlib."""
    wanted = [(name, title, says) for name, title, says, shows in _FIGURES if shows(report)]
    try:
        return [Picture(title, says, _svg(_draw(report, name))) for name, title, says in wanted]
    except (ImportError, MissingExtraError):
        return []


def graph(report: Report) -> Drawn | None:
    """The traced step as a graph; without one, models and backward lines. None if nothing was seen at all."""
    if not report.models:
        return None
    levels, drawing = draw_page_levels(report)
    svg = drawing.svg()
    return Drawn(None if svg is None else Markup(svg), drawing.source, drawing.reason or "", levels)


def data_uri(svg: str) -> str:
    """An SVG document as the address of an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")


def _draw(report: Report, name: str) -> Figure:
    from gradscope.render import figures as module

    figure: Figure = getattr(module, name)(report)
    return figure


def _svg(figure: Figure) -> str:
    """Text stays text and ids come from a fixed salt: small, and the same figure gives the same characters."""
    import matplotlib

    target = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gradscope"}):
        figure.savefig(
            target, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return target.getvalue().replace("<defs>", f"<style>{_night()}</style><defs>", 1)


@cache
def _night() -> str:
    """Styles for a dark page: ink and paper change places, the colours that mean something stay."""
    names = {shade(colour, 0.75): tint(colour, 0.7) for colour in MODEL_COLOURS}
    changed = {INK: "#E6E9EC", PAPER: "#1A1E23", TEXT: "#A0A9B3", **names}
    changed |= {tint(DEAD, share): shade(DEAD, 0.4 * share + 0.25) for share in _TINTS}
    rules = [
        f'[style*="{part}: {old.lower()}"],[{part}="{old.lower()}"]{{{part}:{new}!important}}'
        for old, new in changed.items()
        for part in ("fill", "stroke")
    ]
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"


def _has_backwards(report: Report) -> bool:
    return bool(report.run.backward_events)


def _has_series(report: Report) -> bool:
    return len(report.run.backward_events) > 1


def _has_histograms(report: Report) -> bool:
    return bool(report.run.histograms)


def _has_updates(report: Report) -> bool:
    return any(event.ratios for event in report.run.step_events)


_FIGURES: tuple[tuple[str, str, str, Callable[[Report], bool]], ...] = (
    ("plot_norms", "Gradient norm over time", "Gradient norm of each model over the backward passes.", _has_series),
    ("plot_depth", "Gradient norm over depth", "Gradient norm along the depth of each model.", _has_backwards),
    ("plot_histograms", "Histograms", "How the entries of the gradients are distributed, per model.", _has_histograms),
    ("plot_heatmap", "Every parameter over time", "Gradient norm of each parameter at each step.", _has_series),
    ("plot_updates", "Size of the updates", "Norm of the update over norm of the weight, per model.", _has_updates),
)
