"""Figure of all parameters over time: what each received at each backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradscope.diagnosis.finding import State
from gradscope.records.columns import is_measured
from gradscope.render import figures_room as room
from gradscope.render import figures_style as style
from gradscope.render.figures_cells import ABSENT, FROZEN, NOT_KEPT, Matrix, columns_of
from gradscope.render.figures_kept import Kept, kept_of, of_passes
from gradscope.render.figures_matrix import NAME, SHORTER, SHORTEST, paint
from gradscope.render.figures_silence import silent_cells
from gradscope.render.figures_turns import lines_of, mark_others, turn_of
from gradscope.render.palette import model_colour
from gradscope.render.words import UNKNOWN, UNMEASURED, is_thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradscope.records import Backward, Run
    from gradscope.report import Report

Row = tuple[int, str, int]
"""A parameter: uid, name in its model, number of its model."""

HEATMAP = "Gradient norm of every parameter"
ROWS_PER_INCH = 6.5
THICK_ROW = 4.0
"""Points; thinner rows have no gap between models, which would hide a small one. The bars beside them tell."""


@style.styled
def plot_heatmap(report: Report, ax: Axes | None = None) -> Figure:
    """Heat map of parameter x backward pass: log10 of the gradient norm, hatched where none came."""
    from matplotlib.ticker import MaxNLocator

    run, rows = report.run, style.owners(report.run)
    events = [event for event in run.passes if is_measured(event.norms)]
    height = min(max(2.8, 1.6 + 0.17 * len(rows)), 11.0)
    figure, ax = style.axes_of(ax, 8.5, height)
    if not rows or not events:
        style.nothing(ax, "No backward pass was seen.")
        room.head(ax, HEATMAP)
        return figure
    kept = kept_of([event.index for event in events], run.backwards)
    norms, widest = _cells(run, rows, events, kept)
    norms[(norms == ABSENT) & [[report.states.get(uid) is State.FROZEN] for uid, _, _ in rows]] = FROZEN
    small = room.is_small(ax)
    longest = max(len(style.name(model.name, _most(ax))) for model in run.models)
    room.give_room(ax, right=12 + (4 if small else 5) * longest)
    unknown = UNMEASURED if is_thinned(run) else UNKNOWN
    _, states = paint(figure, ax, norms, bar="bottom", unknown=unknown)
    room.settle(ax)
    names = 0.0 if room.is_tiny(ax) else room.inches(ax)[1] * ROWS_PER_INCH * (0.6 if small else 1.0)
    shown = style.thin(len(rows), int(names)) if names >= 1 else []
    ax.set_yticks(shown, [style.name(rows[i][1], SHORTER if small else 30) for i in shown], fontsize=7.5)
    values = MaxNLocator(max(1, min(8, int(3 * room.inches(ax)[0]))), integer=True).tick_values(0, kept.total - 1)
    places = sorted({int(value) for value in values if 0 <= value < kept.total})
    ax.set_xticks([(place + 0.5) / kept.narrow - 0.5 for place in places], [str(place) for place in places])
    most = "up to " * (widest > kept.width)
    of = f"; each colour is the median over {most}{widest:,} passes" if widest > 1 else ""
    ax.set_xlabel("" if room.is_tiny(ax) else of_passes(run, f"backward pass{of}"))
    models = style.boundaries(rows)
    row = 72 * room.inches(ax)[1] / len(rows)
    if row > THICK_ROW:
        for _, start, _ in models[1:]:
            ax.axhline(start - 0.5, color=style.look(ax).paper, linewidth=min(2.5, row / 4))
    _name_models(ax, report, models, len(rows) / room.inches(ax)[1] / ROWS_PER_INCH)
    room.head(ax, "Gradient norms" if room.is_tiny(ax) else HEATMAP, states)
    return figure


def _name_models(ax: Axes, report: Report, models: list[tuple[int, int, int]], least: float) -> None:
    """Bars in the models' colours along their rows, with the names that have room: those that are not well first."""
    across = ax.get_yaxis_transform()
    look, small = style.look(ax), room.is_small(ax)
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
        words = style.name(report.run.models[index].name, _most(ax))
        looks: dict[str, Any] = {"va": "center", "fontsize": room.SMALL_LETTERS if small else 8}
        at: dict[str, Any] = {"xytext": (6, 0), "xycoords": across, "textcoords": "offset points"}
        ax.annotate(words, (1.012, middles[place]), **at, **looks, color=look.of_model(colour), annotation_clip=False)


def _most(ax: Axes) -> int:
    """Characters of the name of a model."""
    return SHORTEST if room.is_tiny(ax) else SHORTER if room.is_small(ax) else NAME


def _well(state: State | None) -> bool:
    return state in (State.FLOWING, State.FROZEN)


def _cells(run: Run, rows: list[Row], events: list[Backward], kept: Kept) -> tuple[Matrix, int]:
    """Per parameter and narrow column what is known of it, and over how many passes a colour is the median at most.

    Parameters that other lines reach have columns of their own width.
    """
    norms = np.full((len(rows), -(-kept.total // kept.narrow)), ABSENT)
    starts = kept.narrow * np.arange(norms.shape[1])
    widest = 1
    for lines, places in lines_of(run, [uid for uid, _, _ in rows]).items():
        own = kept_of([event.index for event in events], kept.total, turn_of(run, lines))
        found = _known(run, [rows[place] for place in places], events, own)
        mark_others(found, events, own, lines)
        norms[places] = found[:, starts // own.narrow]
        widest = max(widest, own.width)
    return norms, widest


def _known(run: Run, rows: list[Row], events: list[Backward], kept: Kept) -> Matrix:
    """A norm is the median of a wider column, and is shown only where something came.

    That nothing came is believed where it was counted, or where all passes were kept.
    """
    wide, narrow = columns_of(rows, events, kept), kept.narrow
    columns = -(-kept.total // narrow)
    norms = np.repeat(wide, kept.width // narrow, axis=1)[:, :columns]
    silent = silent_cells(run, [uid for uid, _, _ in rows], narrow, columns)
    here = np.bincount([event.index // narrow for event in events], minlength=columns)
    whole = here >= np.minimum(narrow, kept.total - narrow * np.arange(columns))
    counted = narrow * np.arange(1, columns + 1) <= run.arrivals.passes
    norms[(norms == ABSENT) & counted & ~whole & ~silent] = NOT_KEPT
    norms[silent] = ABSENT
    return norms
