"""Figures that are matrices: the painting of their cells, and backward line x model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradscope.diagnosis.finding import State
from gradscope.render import figures_room as room
from gradscope.render import figures_style as style
from gradscope.render.figures_cells import ABSENT, ELSEWHERE, FROZEN, NOT_KEPT, Matrix, flow_value
from gradscope.render.figures_kept import ADDED, ADDED_SAYS, is_added, of_passes
from gradscope.render.figures_places import scale_axes
from gradscope.render.flows import flow_lines, flow_number
from gradscope.render.palette import DEAD, INK, PAPER
from gradscope.render.words import UNKNOWN, calls_without, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    from gradscope.records import Backward, Location
    from gradscope.report import Report

FLOW = "Which backward reaches which model"
COLOURS = "viridis"
LEAST_DECADES = 2.0
CHARACTERS_PER_INCH = 11
SLANTED = 0.34
"""Inches of a column from which on slanted names do not touch."""
CELL = (0.5, 0.2)
"""Inches of a cell in which a number can be read."""
NARROW = 3.0
"""Inches of axes below which the scale under them is as wide as they are."""
SHORT = 20
"""Characters of the name of a line for which a figure has room as it is."""
WORDS = 1.0
"""Inches of a cell that has room for words below its number."""
MOST_PATCHES = 5_000
"""More take seconds to draw."""
PAD, SMALL_PAD, TINY_PAD = 0.6, 0.36, 0.21
"""Inches between axes and the scale under them."""
BESIDE = 0.12
"""Inches between axes and the scale beside them."""
THIN, THICK = 0.08, 0.15
"""Inches of a scale across."""
ONE_TICK = 0.8
"""Inches of a scale that has room for one number."""
TWO_LINES = 0.3
"""Inches of a cell that is high enough for them."""
SHORTER, SHORTEST = 12, 9
SMALLER, SMALLEST = 1.3, 1.5
"""Times as many characters an inch has of the small letters, and of those in small cells."""
NAME = 20
"""Characters of the name of a model beside its rows."""

Side = Literal["right", "bottom", "none"]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@style.styled
def plot_flow(report: Report, ax: Axes | None = None) -> Figure:
    """Heat map of the flow: which `backward()` line left how much gradient in which model."""
    rows, models = report.flow, report.models
    names = [style.name(line) for line in flow_lines(rows)]
    more = max((len(line) for line in names), default=0) - SHORT
    wide = 3.6 + 1.1 * len(models) + max(more, 0) / CHARACTERS_PER_INCH
    figure, ax = style.axes_of(ax, wide, 1.9 + 0.42 * len(rows))
    if not rows or not models:
        style.nothing(ax, "No backward pass was seen.")
        room.head(ax, FLOW)
        return figure
    norms = np.array([[flow_value(row, m.name) for m in models] for row in rows])
    norms[(norms == ABSENT) & [m.state is State.FROZEN for m in models]] = FROZEN
    over = [[calls_without(row, m.name) for m in models] for row in rows]
    added = _added(report)
    small = room.is_small(ax)
    mapped, states = paint(figure, ax, norms, bar="none" if small else "right", over=np.array(over) > 0)
    lines = style.thin(len(rows))
    if small:
        names = [f":{row.location.line}" if row.location else "?" for row in rows] if room.is_tiny(ax) else names
        names = [style.name(name, SHORT) for name in names]
    ax.set_yticks(lines, [names[i] if small else f"{names[i]}  x{rows[i].count}" for i in lines])
    ax.set_xlabel("" if small else of_passes(report.run, "model") + f"\n{ADDED_SAYS}" * any(map(any, added)))
    ax.set_ylabel("" if small else "backward() line, calls")
    room.settle(ax)
    room.lay_out(ax)
    _name_columns(ax, [style.name(model.name, SHORTER if small else NAME) for model in models])
    room.head(ax, FLOW, states)
    wide, tall = (length / count for length, count in zip(room.inches(ax), (len(models), len(rows)), strict=True))
    sign = "" if small else f"\n{ADDED}" if wide > WORDS and tall > TWO_LINES else " +"
    said = {
        (y, x): flow_number(row, model.name) + sign * added[y][x]
        for y, row in enumerate(rows)
        for x, model in enumerate(models)
    }
    least = max(map(len, said.values())) / (SMALLEST * CHARACTERS_PER_INCH) if small else CELL[0]
    if wide > least and tall > CELL[1]:
        _write_numbers(ax, norms, mapped, said, over if wide > WORDS else None)
    elif small:
        _draw_bar(figure, ax, mapped, mapped.get_clim(), "right")
        room.settle(ax)
    return figure


def _added(report: Report) -> list[list[bool]]:
    """Per line and model, whether its norm is of a sum with what earlier passes had left."""
    passes: dict[Location | None, list[Backward]] = {}
    for event in report.run.passes:
        passes.setdefault(event.location, []).append(event)
    members = [set(model.parameters) for model in report.run.models]
    return [[is_added(passes.get(row.location, ()), uids) for uids in members] for row in report.flow]


def _name_columns(ax: Axes, names: list[str]) -> None:
    """The names below their columns, turned as far as they must be."""
    shown = style.thin(len(names))
    column = room.inches(ax)[0] / len(shown)
    letters = CHARACTERS_PER_INCH * (SMALLER if room.is_small(ax) else 1)
    slanted = max(len(names[i]) for i in shown) / letters > column
    looks: dict[str, Any] = {"rotation": 30, "ha": "right"} if column > SLANTED else {"rotation": 90, "ha": "center"}
    ax.set_xticks(shown, [names[i] for i in shown], **(looks if slanted else {}))


def paint(
    figure: Figure,
    ax: Axes,
    norms: Matrix,
    *,
    bar: Side = "right",
    unknown: str = UNKNOWN,
    over: Flags | None = None,
) -> tuple[ScalarMappable, list[Patch]]:
    """Draw the cells: colour by log10, own colours for zero and non-finite, the hatched ground where absent.

    `over`: hatched in white where a norm is of the past. Returns the colours, and what the legend has to tell.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgba
    from matplotlib.patches import Rectangle

    finite = norms[np.isfinite(norms) & (norms > 0)]
    low, high = (math.log10(finite.min()), math.log10(finite.max())) if finite.size else (-1.0, 0.0)
    if high - low < LEAST_DECADES:
        low, high = (low + high - LEAST_DECADES) / 2, (low + high + LEAST_DECADES) / 2
    # The darkest end of the map is left out: exact zero is drawn in ink.
    mapped = ScalarMappable(Normalize(low - 0.15 * (high - low), high), COLOURS)
    logs = np.log10(np.where(np.isfinite(norms) & (norms > 0), norms, 1.0))
    pixels = mapped.to_rgba(logs)
    absent, hidden, frozen, blank = (norms == kind for kind in (ABSENT, NOT_KEPT, FROZEN, ELSEWHERE))
    zero, broken = norms == 0, ~np.isfinite(norms)
    pixels[zero] = to_rgba(style.look(ax).zero)
    pixels[broken] = to_rgba(style.NONFINITE)  # under the patches, of which there may be too many
    if broken.any():
        _ground(ax, broken, style.NONFINITE_LOOKS | {"zorder": 1.5})
    pixels[absent | hidden | frozen | blank] = (0, 0, 0, 0)
    height, width = norms.shape
    if absent.any():
        ax.add_patch(Rectangle((-0.5, -0.5), width, height, zorder=0, **style.absent_looks(ax)))
    if frozen.any():  # no pixels: a dark page changes the colour of patches only
        _ground(ax, frozen, style.frozen_looks(ax))
    for cells, looks in ((hidden, style.unknown_looks(ax)), (blank, _blank_looks(ax))):
        if cells.any() and not _ground(ax, cells, looks | {"linewidth": 0}):
            pixels[cells] = to_rgba(style.look(ax).paper)
    if over is not None and over.any():
        _ground(ax, over, style.OVER_LOOKS | {"zorder": 1.5})
    ax.imshow(pixels, aspect="auto", interpolation="none", zorder=1)
    ax.spines[:].set_visible(False)
    if finite.size and bar != "none":
        _draw_bar(figure, ax, mapped, (low, high), bar)
    shown = bool(absent.any()), bool(zero.any()), bool(broken.any()), unknown * bool(hidden.any()), bool(frozen.any())
    past = over is not None and bool(over.any())
    return mapped, [*style.state_patches(ax, *shown), *_rare_patches(ax, past=past, blank=bool(blank.any()))]


def _rare_patches(ax: Axes, *, past: bool, blank: bool) -> list[Patch]:
    """Legend entries of what occurs in few matrices."""
    from matplotlib.patches import Patch

    over = Patch(label="none any more", **style.OVER_LOOKS | {"facecolor": DEAD})
    return [over] * past + [Patch(label="its line did not run", **_blank_looks(ax))] * blank


def _blank_looks(ax: Axes) -> dict[str, Any]:
    """How the ground looks where nothing was to come."""
    return {"facecolor": style.look(ax).paper, "edgecolor": DEAD, "linewidth": 0.8}


def _ground(ax: Axes, cells: Flags, looks: dict[str, Any]) -> bool:
    """Paint cells as patches: one for each stretch of a column, as wide as the columns that are alike.

    Where that would be more than MOST_PATCHES none is painted; returns whether they are.
    """
    from matplotlib.patches import Rectangle

    edges = np.flatnonzero((cells[:, 1:] != cells[:, :-1]).any(axis=0)) + 1
    stretches = np.diff(cells[:, [0, *edges.tolist()]].astype(int), axis=0, prepend=0) > 0
    if int(stretches.sum()) > MOST_PATCHES:
        return False
    for left, right in itertools.pairwise([0, *edges.tolist(), cells.shape[1]]):
        turns = np.flatnonzero(np.diff(cells[:, left].astype(int), prepend=0, append=0)).tolist()
        for top, bottom in zip(turns[::2], turns[1::2], strict=True):
            box = (left - 0.5, top - 0.5), right - left, bottom - top
            ax.add_patch(Rectangle(*box, **({"zorder": 0.5} | looks)))
    return True


def _draw_bar(
    figure: Figure, ax: Axes, mapped: ScalarMappable, ends: tuple[float, float], side: Literal["right", "bottom"]
) -> None:
    """The scale of the colours."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    flat, small = side == "bottom", room.is_small(ax)
    wide, tall = room.inches(ax)
    ticks = max(1 if wide < NARROW else 2, min(6, int(0.9 * wide))) if flat else 6
    length = 0.6 if flat and wide > NARROW else 1.0
    if room.is_fixed(ax):
        below = TINY_PAD if room.is_tiny(ax) else SMALL_PAD if small else PAD
        thick = THIN if flat or small else THICK
        own = scale_axes(ax, side, below if flat else BESIDE, thick, length)
        place: dict[str, Any] = {"cax": own, "orientation": "horizontal" if flat else "vertical"}
    else:
        pad = 0.06 if not flat else 0.02 if room.is_constrained(ax) else PAD / tall
        place = {"ax": ax, "location": side, "pad": pad, "aspect": 50 if flat else 24, "shrink": length}
    drawn = figure.colorbar(
        mapped,
        label="" if small else "gradient norm",
        format=FuncFormatter(lambda value, _: number(10**value)),
        ticks=[float(math.floor(ends[1]))] if wide < ONE_TICK and flat else MaxNLocator(ticks, integer=True),
        **place,
    )
    if small or (flat and wide < NARROW):
        drawn.ax.tick_params(labelsize=room.SMALL_LETTERS if small else 8)
    (drawn.ax.set_xlim if flat else drawn.ax.set_ylim)(*ends)
    drawn.outline.set_visible(False)


def _write_numbers(
    ax: Axes,
    norms: Matrix,
    mapped: ScalarMappable,
    said: Mapping[tuple[int, int], str],
    over: list[list[int]] | None,
) -> None:
    look = style.look(ax)
    for (row, column), norm in np.ndenumerate(norms):
        calls = over[row][column] if over is not None else 0
        empty = norm in (ABSENT, NOT_KEPT, FROZEN)
        words = {ABSENT: "none", NOT_KEPT: UNKNOWN, FROZEN: "frozen"}.get(float(norm), said[row, column])
        words += f"\nlast {calls:,}: none" * bool(calls)
        hatched = empty or bool(calls) or not math.isfinite(norm)
        colour = look.ink if hatched else INK if _is_bright(float(norm), mapped) else PAPER
        ground = look.paper if hatched else None
        box = {"facecolor": ground, "edgecolor": "none", "pad": 1.5} if ground else None
        size = 6 if room.is_small(ax) else 7 if calls else 8
        ax.text(column, row, words, ha="center", va="center", color=colour, fontsize=size, bbox=box)


def _is_bright(norm: float, mapped: ScalarMappable) -> bool:
    """Whether dark text reads well on the colour of a norm."""
    if norm <= 0 or not math.isfinite(norm):
        return False
    red, green, blue, _ = mapped.to_rgba(np.array([math.log10(norm)]))[0]
    return bool(0.3 * red + 0.59 * green + 0.11 * blue > 0.5)
