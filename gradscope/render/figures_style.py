"""What all figures share: the sheet they are drawn on, the colours of states, names that fit and cannot harm."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, cast

from gradscope.errors import GradscopeError, MissingExtraError
from gradscope.render import escape
from gradscope.render.palette import CUT, DEAD, INK, PAPER, TEXT, shade, tint
from gradscope.render.shorten import shorten
from gradscope.render.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from gradscope.records import Run
    from gradscope.report import Report

P = ParamSpec("P")
Draw: TypeAlias = Callable[Concatenate["Report", "Axes | None", P], "Figure"]

ZERO = "#000000"
"""Black on paper and at night: no ink, which changes with the page. Drawn with an edge, to be seen on black."""
NONFINITE = CUT
NONFINITE_LOOKS: dict[str, Any] = {"facecolor": NONFINITE, "hatch": "xxx", "edgecolor": "white", "linewidth": 0}
"""Crossed out: it is told from a norm without colour, too."""
OVER_LOOKS: dict[str, Any] = {"facecolor": "none", "hatch": "////", "edgecolor": "white", "linewidth": 0}
"""Over a colour that is of the past."""
HATCH = "////"
UNKNOWN_HATCH = "...."
ABSENT_FACE = tint(DEAD, 0.15)
MAX_LABELS = 60
MAX_CHARACTERS = 36
WIDEST: ContextVar[float] = ContextVar("widest", default=100.0)
"""Inches that there are: a picture that is shrunk to fit has letters that nobody reads."""

_DRAWN = frozenset(
    {"axes", "font", "grid", "hatch", "image", "legend", "lines", "markers", "mathtext", "patch", "path", "text"}
    | {"xtick", "ytick"}
)
_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": TEXT,
    "axes.labelcolor": INK,
    "axes.facecolor": PAPER,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "grid.color": tint(DEAD, 0.35),
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "text.color": INK,
    "text.usetex": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True)
class Look:
    """Colours that depend on the page: on the user's own axes it may be dark."""

    ink: str
    paper: str
    text: str
    ground: str
    """Behind what is absent."""
    zero: str
    night: bool = False

    def of_model(self, colour: str) -> str:
        """A model's colour, to write with."""
        return tint(colour, 0.7) if self.night else shade(colour, 0.75)


def look(ax: Axes) -> Look:
    """The colours for these axes."""
    from matplotlib.colors import to_hex, to_rgba

    figure = ax.get_figure()
    page = to_rgba(ax.get_facecolor())
    if page[3] < 0.5 and figure is not None:
        page = to_rgba(figure.get_facecolor())
    red, green, blue, opaque = page
    if opaque < 0.5 or 0.3 * red + 0.59 * green + 0.11 * blue > 0.5:
        return Look(INK, PAPER, TEXT, ABSENT_FACE, ZERO)
    return Look("#E6E9EC", to_hex(page), "#A0A9B3", shade(DEAD, 0.31), "#FFFFFF", night=True)


def absent_looks(ax: Axes) -> dict[str, Any]:
    """How the ground looks where nothing was received."""
    return {"facecolor": look(ax).ground, "edgecolor": DEAD, "hatch": HATCH, "linewidth": 0}


def zero_looks(ax: Axes) -> dict[str, Any]:
    """How a bar looks that is exactly zero."""
    return {"facecolor": look(ax).zero, "edgecolor": DEAD, "linewidth": 0.8}


def unknown_looks(ax: Axes) -> dict[str, Any]:
    """How the ground looks where nothing was kept."""
    return {"facecolor": look(ax).paper, "edgecolor": DEAD, "hatch": UNKNOWN_HATCH, "linewidth": 0}


@contextmanager
def _gradscope_style() -> Iterator[None]:
    """What is drawn follows gradscope's style; how it is written to a file stays the caller's."""
    import matplotlib as mpl

    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if key.partition(".")[0] in _DRAWN}
    with mpl.rc_context():
        mpl.rcParams.update(cast("Any", {**defaults, **_STYLE}))
        yield


@cache
def _sheet_class() -> type[Figure]:
    """Made when first needed: a class at the top would load matplotlib with the module."""
    from matplotlib.figure import Figure

    class Sheet(Figure):
        """A figure that keeps its style and shows itself in a notebook, also where pyplot was never imported.

        matplotlib makes ticks as late as at drawing and takes the colour of the page at saving, both from the
        style that holds then: the user's may be white on black.
        """

        is_sheet = True

        def draw(self, renderer: Any) -> None:
            with _gradscope_style():
                super().draw(renderer)

        def savefig(self, fname: Any, **kwargs: Any) -> None:
            page = {} if kwargs.get("transparent") else {"facecolor": PAPER}
            super().savefig(fname, **{**page, **kwargs})

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=110)
            return buffer.getvalue()

    return Sheet


def styled(draw: Draw[P]) -> Draw[P]:
    """Draw in gradscope's style; the user's own axes keep the user's style."""

    @wraps(draw)
    def drawn(report: Report, ax: Axes | None = None, *args: P.args, **kwargs: P.kwargs) -> Figure:
        try:
            import matplotlib as mpl
        except ImportError as error:
            raise MissingExtraError("a figure", "matplotlib") from error
        del mpl
        if ax is not None:
            return draw(report, _checked(ax), *args, **kwargs)
        with _gradscope_style():
            return draw(report, None, *args, **kwargs)

    return cast("Draw[P]", drawn)


def _checked(ax: Axes) -> Axes:
    """The user's axes, if they can be drawn on; below what is drawn their grid crosses no bar."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise GradscopeError(f"`ax` must be one matplotlib Axes to draw into, not of type {type(ax).__name__!r}")
    if ax.get_figure() is None:
        raise GradscopeError("`ax` was removed from its figure: nothing can be drawn into it")
    ax.set_axisbelow(True)
    return ax


def sheet(width: float = 8.0, height: float = 4.0) -> Figure:
    """An empty figure; constrained layout keeps labels of any length on it."""
    return _sheet_class()(figsize=(min(width, WIDEST.get()), height), layout="constrained")


def axes_of(ax: Axes | None, width: float = 8.0, height: float = 4.0) -> tuple[Figure, Axes]:
    """The given axes with their figure, or new ones."""
    if ax is None:
        new = sheet(width, height)
        return new, new.add_subplot()
    figure = ax.get_figure()
    assert figure is not None
    return figure.figure, ax


def nothing(ax: Axes, words: str) -> None:
    """Say on empty axes why they are empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes, color=look(ax).text)


def name(text: str, most: int = MAX_CHARACTERS) -> str:
    """Foreign text for a figure: one line, no formula, no glyph the font has not, not too long."""
    shown = "".join(c if c.isascii() or ord(c) in _glyphs() else f"\\u{ord(c):04x}" for c in escape.plain(text))
    shown = shorten(shown, most).replace("$", r"\$")
    # a leading underscore means "not in the legend" to matplotlib
    return f" {shown}" if shown.startswith("_") or not shown else shown


def thin(count: int, most: int = MAX_LABELS) -> list[int]:
    """Which of `count` positions get a label: all, or every k-th."""
    return list(range(0, count, max(1, -(-count // most))))


def owners(run: Run) -> list[tuple[int, str, int]]:
    """(uid, fqn inside its model, index of the model) of every parameter, model by model; shared ones once."""
    seen: set[int] = set()
    rows = []
    for index, model in enumerate(run.models):
        for uid in model.parameters:
            if uid not in seen and uid in run.parameters:
                seen.add(uid)
                rows.append((uid, _fqn(run, uid, model.name), index))
    return rows


def _fqn(run: Run, uid: int, model: str) -> str:
    parameter = run.parameters[uid]
    return next((o.fqn for o in parameter.owners if o.model == model), parameter.name)


def boundaries(rows: Sequence[tuple[int, str, int]]) -> list[tuple[int, int, int]]:
    """(model, first row, row after the last) of each model."""
    spans: list[tuple[int, int, int]] = []
    for position, (_, _, model) in enumerate(rows):
        if spans and spans[-1][0] == model:
            spans[-1] = (model, spans[-1][1], position + 1)
        else:
            spans.append((model, position, position + 1))
    return spans


LARGEST = 1e300
"""Where an axis ends at the latest: matplotlib computes a margin beyond it, which has to be finite, too."""


def log_scale(ax: Axes) -> None:
    """A log y axis over at least 1.5 decades, with the numbers of the report: at 2 and 5, too, if decades are few."""
    from matplotlib.ticker import LogLocator, NullLocator

    ax.set_yscale("log")
    ends = ax.get_ylim()
    low, high = (min(max(float(end), 1 / LARGEST), LARGEST) for end in ends)
    if high / low < 30:
        middle, half = low**0.5 * high**0.5, 30**0.5
        low, high = middle / half, middle * half
    if (low, high) != ends:
        ax.set_ylim(low, high)
    if high / low < 500:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(lambda value, _: number(value))
    ax.yaxis.set_minor_locator(NullLocator())


def frozen_looks(ax: Axes) -> dict[str, Any]:
    """Ground without hatching: that nothing comes is meant so."""
    return {"facecolor": look(ax).ground, "linewidth": 0}


def state_patches(
    ax: Axes, absent: bool, zero: bool, nonfinite: bool, unknown: str = "", frozen: bool = False
) -> list[Patch]:
    """Legend entries of the states that do occur; `unknown` is how what is not known is called, if that occurs."""
    from matplotlib.patches import Patch

    patches = [
        (absent, Patch(label="no gradient", **absent_looks(ax))),
        (zero, Patch(label="exactly zero", **zero_looks(ax))),
        (nonfinite, Patch(label="NaN or Inf", **NONFINITE_LOOKS)),
        (bool(unknown), Patch(label=unknown, **unknown_looks(ax))),
        (frozen, Patch(label="frozen", **frozen_looks(ax))),
    ]
    return [patch for occurs, patch in patches if occurs]


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())
