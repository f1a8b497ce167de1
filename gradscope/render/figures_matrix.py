"""Figures that are matrices: backward line x model, and parameter x backward pass."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradscope.diagnosis.finding import State
from gradscope.render import figures_room as room
from gradscope.render import figures_style as style
from gradscope.render.figures_kept import Kept, kept_of
from gradscope.render.palette import INK, PAPER, model_colour
from gradscope.render.words import UNKNOWN, brief, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    from gradscope.records import Backward
    from gradscope.report import FlowRow, Report

FLOW, HEATMAP = "Which backward reaches which model", "Gradient norm of every parameter"
COLOURS = "viridis"
LEAST_DECADES = 2.0
ABSENT = -1.0
"""In a matrix of norms: received nothing. A norm is never negative."""
NOT_KEPT = -2.0
"""In a matrix of norms: whatever was received was not kept or not measured."""
FROZEN = -3.0
"""In a matrix of norms: received nothing and was not to."""
ROWS_PER_INCH = 6.5
CHARACTERS_PER_INCH = 11
CELL = (0.5, 0.2)
"""Inches of a cell in which a number can be read."""
THICK_ROW = 4.0
"""Points; thinner rows have no gap between models, which would hide a small one. The bars beside them tell."""
MOST_PATCHES = 5_000
"""More take seconds to draw."""
NAME = 20
"""Characters of the name of a model beside its rows."""

Matrix = np.ndarray[Any, np.dtype[np.float64]]


@style.styled
def plot_flow(report: Report, ax: Axes | None = None) -> Figure:
    """Heat map of the flow: which `backward()` line left how much gradient in which model."""
    rows, models = report.flow, report.models
    figure, ax = style.axes_of(ax, 3.6 + 1.1 * len(models), 1.9 + 0.42 * len(rows))
    if not rows or not models:
        style.nothing(ax, "No backward pass was seen.")
        room.head(ax, FLOW)
        return figure
    norms = np.array([[_flow_value(row, m.name) for m in models] for row in rows])
    norms[(norms == ABSENT) & [m.state is State.FROZEN for m in models]] = FROZEN
    mapped = _paint(figure, ax, norms, FLOW)
    columns, lines = style.thin(len(models)), style.thin(len(rows))
    widest = max(len(style.name(models[i].name, NAME)) for i in columns)
    rotation = 0 if widest / CHARACTERS_PER_INCH < room.inches(ax)[0] / len(columns) else 30
    ax.set_xticks(
        columns,
        [style.name(models[i].name, NAME) for i in columns],
        rotation=rotation,
        ha="right" if rotation else "center",
    )
    ax.set_yticks(
        lines, [f"{style.name(brief(at) if (at := rows[i].location) else '?')}  x{rows[i].count}" for i in lines]
    )
    ax.set_xlabel("model")
    ax.set_ylabel("backward() line, calls")
    wide, tall = room.inches(ax)
    if wide / len(models) > CELL[0] and tall / len(rows) > CELL[1]:
        _write_numbers(ax, norms, mapped)
    return figure


@style.styled
def plot_heatmap(report: Report, ax: Axes | None = None) -> Figure:
    """Heat map of parameter x backward pass: log10 of the gradient norm."""
    from matplotlib.ticker import MaxNLocator

    rows, events = style.owners(report.run), [e for e in report.run.passes if not _is_unmeasured(e)]
    height = min(max(2.8, 1.6 + 0.17 * len(rows)), 11.0)
    figure, ax = style.axes_of(ax, 8.5, height)
    if not rows or not events:
        style.nothing(ax, "No backward pass was seen.")
        room.head(ax, HEATMAP)
        return figure
    kept = kept_of([event.index for event in events], report.run.backwards)
    norms = _columns(rows, events, kept)
    norms[(norms == ABSENT) & [[report.states.get(uid) is State.FROZEN] for uid, _, _ in rows]] = FROZEN
    longest = max(len(style.name(model.name, NAME)) for model in report.run.models)
    room.give_room(ax, right=12 + 5 * longest)
    _paint(figure, ax, norms, HEATMAP, bar="bottom")
    shown = style.thin(len(rows), int(room.inches(ax)[1] * ROWS_PER_INCH))
    ax.set_yticks(shown, [style.name(rows[i][1], 30) for i in shown], fontsize=7.5)
    values = MaxNLocator(8, integer=True).tick_values(0, kept.total - 1)
    places = sorted({int(value) for value in values if 0 <= value < kept.total})
    ax.set_xticks([(place + 0.5) / kept.width - 0.5 for place in places], [str(place) for place in places])
    ax.set_xlabel(kept.axis + (f"; median of {kept.width} per column" if kept.width > 1 else ""))
    models = style.boundaries(rows)
    row = 72 * room.inches(ax)[1] / len(rows)
    if row > THICK_ROW:
        for _, start, _ in models[1:]:
            ax.axhline(start - 0.5, color=style.look(ax).paper, linewidth=min(2.5, row / 4))
    _name_models(ax, report, models, len(rows) / room.inches(ax)[1] / ROWS_PER_INCH)
    return figure


def _is_unmeasured(event: Backward) -> bool:
    return bool(event.norms) and all(norm is None for norm in event.norms.values())


def _name_models(ax: Axes, report: Report, models: list[tuple[int, int, int]], least: float) -> None:
    """Bars in the models' colours along their rows, with the names that have room: those that are not well first."""
    across = ax.get_yaxis_transform()
    look = style.look(ax)
    states = {model.name: model.state for model in report.models}
    taken: list[float] = []
    middles = [(start + end - 1) / 2 for _, start, end in models]
    order = sorted(range(len(models)), key=lambda i: _well(states.get(report.run.models[models[i][0]].name)))
    bar: dict[str, Any] = {"linewidth": 4, "solid_capstyle": "butt", "transform": across, "clip_on": False}
    for place in order:
        index, start, end = models[place]
        colour = model_colour(index)
        ax.plot([1.012, 1.012], [start - 0.4, end - 0.6], color=colour, **bar)
        if any(abs(middles[place] - other) < least for other in taken):
            continue
        taken.append(middles[place])
        words = style.name(report.run.models[index].name, NAME)
        ax.text(1.026, middles[place], words, va="center", fontsize=8, color=look.of_model(colour), transform=across)


def _well(state: State | None) -> bool:
    return state in (State.FLOWING, State.FROZEN)


def _columns(rows: list[tuple[int, str, int]], events: list[Backward], kept: Kept) -> Matrix:
    """Per parameter and column the median norm; NaN or Inf if there was one, nothing only if there was nothing."""
    places: dict[int, list[Backward]] = {}
    for event in events:
        places.setdefault(event.index // kept.width, []).append(event)
    row_of = {uid: row for row, (uid, _, _) in enumerate(rows)}
    norms = np.full((len(rows), kept.columns), NOT_KEPT)
    for column, found in places.items():
        norms[:, column] = _middle(np.array([_of_pass(event, row_of) for event in found]))
    return norms


def _of_pass(event: Backward, row_of: dict[int, int]) -> Matrix:
    answer = np.full(len(row_of), ABSENT)
    found = [(row_of[uid], norm) for uid, norm in event.norms.items() if uid in row_of]
    answer[[row for row, _ in found]] = [NOT_KEPT if norm is None else norm for _, norm in found]
    return answer


def _middle(norms: Matrix) -> Matrix:
    """Of passes x parameters one number for each parameter."""
    everyone = np.arange(norms.shape[1])
    broken = ~np.isfinite(norms)
    measured = ~broken & (norms >= 0)
    ordered = np.sort(np.where(measured, norms, np.inf), axis=0)
    many = measured.sum(axis=0)
    lower, upper = (np.clip(at, 0, len(norms) - 1) for at in ((many - 1) // 2, many // 2))
    median = (ordered[lower, everyone] + ordered[upper, everyone]) / 2
    nothing = np.where((norms == NOT_KEPT).any(axis=0), NOT_KEPT, ABSENT)
    first_broken = norms[broken.argmax(axis=0), everyone]
    return np.where(broken.any(axis=0), first_broken, np.where(measured.any(axis=0), median, nothing))


def _flow_value(row: FlowRow, model: str) -> float:
    norm = row.models.get(model)
    if norm is None:
        return NOT_KEPT if model in row.reached else ABSENT
    return norm


def _paint(
    figure: Figure, ax: Axes, norms: Matrix, words: str, bar: Literal["right", "bottom"] = "right"
) -> ScalarMappable:
    """Draw the cells: colour by log10, own colours for zero and non-finite, the hatched ground where absent."""
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
    absent, unknown, frozen = norms == ABSENT, norms == NOT_KEPT, norms == FROZEN
    zero, broken = norms == 0, ~np.isfinite(norms)
    pixels[zero] = to_rgba(style.look(ax).zero)
    pixels[broken] = to_rgba(style.NONFINITE)  # under the patches, of which there may be too many
    if broken.any():
        _ground(ax, broken, style.NONFINITE_LOOKS | {"zorder": 1.5})
    pixels[absent | unknown | frozen] = (0, 0, 0, 0)
    height, width = norms.shape
    if absent.any():
        ax.add_patch(Rectangle((-0.5, -0.5), width, height, zorder=0, **style.absent_looks(ax)))
    if frozen.any():  # no pixels: a dark page changes the colour of patches only
        _ground(ax, frozen, style.frozen_looks(ax))
    for column in np.flatnonzero(unknown.all(axis=0)):
        ax.add_patch(Rectangle((column - 0.5, -0.5), 1, height, zorder=0.5, **style.unknown_looks(ax)))
    for row, column in np.argwhere(unknown & ~unknown.all(axis=0)):
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, zorder=0.5, **style.unknown_looks(ax)))
    ax.imshow(pixels, aspect="auto", interpolation="none", zorder=1)
    ax.spines[:].set_visible(False)
    if finite.size:
        _draw_bar(figure, ax, mapped, (low, high), bar)
    states = style.state_patches(
        ax, bool(absent.any()), bool(zero.any()), bool(broken.any()), bool(unknown.any()), bool(frozen.any())
    )
    room.head(ax, words, states)
    return mapped


def _ground(ax: Axes, cells: np.ndarray[Any, np.dtype[np.bool_]], looks: dict[str, Any]) -> None:
    """Paint cells as patches: one for each stretch of a column, as wide as the columns that are alike.

    Where that would be more than MOST_PATCHES none is painted.
    """
    from matplotlib.patches import Rectangle

    edges = np.flatnonzero((cells[:, 1:] != cells[:, :-1]).any(axis=0)) + 1
    stretches = np.diff(cells[:, [0, *edges.tolist()]].astype(int), axis=0, prepend=0) > 0
    if int(stretches.sum()) > MOST_PATCHES:
        return
    for left, right in itertools.pairwise([0, *edges.tolist(), cells.shape[1]]):
        turns = np.flatnonzero(np.diff(cells[:, left].astype(int), prepend=0, append=0)).tolist()
        for top, bottom in zip(turns[::2], turns[1::2], strict=True):
            box = (left - 0.5, top - 0.5), right - left, bottom - top
            ax.add_patch(Rectangle(*box, **({"zorder": 0.5} | looks)))


def _draw_bar(
    figure: Figure, ax: Axes, mapped: ScalarMappable, ends: tuple[float, float], side: Literal["right", "bottom"]
) -> None:
    """The scale of the colours."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    flat = side == "bottom"
    wide, tall = room.inches(ax)
    ticks = max(2, min(6, int(0.9 * wide))) if flat else 6
    pad = 0.02 if room.is_constrained(ax) else 0.6 / tall
    drawn = figure.colorbar(
        mapped,
        ax=ax,
        label="gradient norm",
        location=side,
        pad=pad if flat else 0.06,
        use_gridspec=not room.is_fixed(ax),
        aspect=50 if flat else 24,
        shrink=0.6 if flat else 1.0,
        format=FuncFormatter(lambda value, _: number(10**value)),
        ticks=MaxNLocator(ticks, integer=True),
    )
    (drawn.ax.set_xlim if flat else drawn.ax.set_ylim)(*ends)
    drawn.outline.set_visible(False)


def _write_numbers(ax: Axes, norms: Matrix, mapped: ScalarMappable) -> None:
    look = style.look(ax)
    for (row, column), norm in np.ndenumerate(norms):
        empty = norm in (ABSENT, NOT_KEPT, FROZEN)
        words = {ABSENT: "none", NOT_KEPT: UNKNOWN, FROZEN: "frozen"}.get(float(norm), number(float(norm)))
        colour = look.ink if empty else INK if _is_bright(float(norm), mapped) else PAPER
        ground = look.paper if empty else None if math.isfinite(norm) else style.NONFINITE
        box = {"facecolor": ground, "edgecolor": "none", "pad": 1.5} if ground else None
        ax.text(column, row, words, ha="center", va="center", color=colour, fontsize=8, bbox=box)


def _is_bright(norm: float, mapped: ScalarMappable) -> bool:
    """Whether dark text reads well on the colour of a norm."""
    if norm <= 0 or not math.isfinite(norm):
        return False
    red, green, blue, _ = mapped.to_rgba(np.array([math.log10(norm)]))[0]
    return bool(0.3 * red + 0.59 * green + 0.11 * blue > 0.5)
