"""What pictures look like on a dark page: ink and paper change places, the colours that mean something stay.

The rules go by the colours that looks.py and figures_style.py draw with, so that a picture needs no classes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from gradscope.render.palette import CUT, DEAD, INK, MODEL_COLOURS, PAPER, TEXT, ZERO, shade, tint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_INK = "#E6E9EC"
_PANEL = "#1A1E23"
_BLANK = "#2A3037"
"""Boxes that are white by day."""
_QUIET = "#A0A9B3"
_CUT = "#F2675F"
_GREYS = (0.14, 0.15, 0.22, 0.35)
"""Shares of `DEAD` that figures and graphs are drawn with."""


@cache
def figure_rules() -> str:
    """Styles of a figure, which are part of it."""
    names = {shade(colour, 0.75): tint(colour, 0.7) for colour in MODEL_COLOURS}
    return _when_dark(_swaps({INK: _INK, PAPER: _PANEL, TEXT: _QUIET, **_greys(), **names}))


@cache
def graph_rules(scope: str) -> str:
    """Styles of the graphs inside `scope`, a selector: models are dark, boxes with a colour keep it."""
    changed = {TEXT: _QUIET, CUT: _CUT, shade(DEAD, 0.6): "#C3C8CE", **_greys()}
    for colour in (*MODEL_COLOURS, CUT):
        changed |= {tint(colour, 0.14): shade(colour, 0.28), shade(colour, 0.6): tint(colour, 0.5)}
    hollow = {ZERO: "#C3C8CE", PAPER: _PANEL}
    blank = f':is(path,polygon,ellipse)[fill="{PAPER}" i]'
    on_paper = [f"{scope} {blank}{{fill:{_BLANK}}}", f"{scope} :has(> {blank}) > text{{fill:{_INK}}}"]
    on_grey = ",".join(f'{scope} :has(> [fill="{tint(DEAD, share)}" i]) > text' for share in (0.14, 0.22))
    return _when_dark(
        [f"{on_grey}{{fill:#C3C8CE}}", *on_paper, *_swaps(changed, scope), *_swaps(hollow, scope, ("stroke",))]
    )


def _greys() -> dict[str, str]:
    return {tint(DEAD, share): shade(DEAD, 0.4 * share + 0.25) for share in _GREYS}


def _swaps(changed: Mapping[str, str], scope: str = "", parts: Sequence[str] = ("fill", "stroke")) -> Iterable[str]:
    """One rule for each colour, whether it is written as an attribute or, by matplotlib, as a style."""
    for old, new in changed.items():
        for part in parts:
            attribute = f'{scope} [{part}="{old}" i]'.strip()
            written = "" if scope else f',[style*="{part}: {old.lower()}"]'
            yield f"{attribute}{written}{{{part}:{new}!important}}"


def _when_dark(rules: Iterable[str]) -> str:
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"
