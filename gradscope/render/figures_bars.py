"""Gradient norm along the depth of each model: the forum's `plot_grad_flow`, with absence told apart from zero."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gradscope.diagnosis.finding import State
from gradscope.render import figures_room as room
from gradscope.render import figures_style as style
from gradscope.render.figures_kept import of_passes
from gradscope.render.figures_silence import over
from gradscope.render.palette import CUT, DEAD, model_colour
from gradscope.render.words import is_thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    from gradscope.records import Graph, Run
    from gradscope.report import Report

Row = tuple[int, str, int]
"""A parameter: uid, name in its model, number of its model."""

TITLE = "Gradient along the depth of each model"
LABELS_PER_INCH = 6
NARROW = 1.5
"""Points per bar below which only the outline is drawn: pixels would show gaps where there are none."""
SHRINKS = 0.25
"""Share of its width that a layout takes from axes later on, for what stands beside them."""
GAP = 6
"""Pixels between two names."""


@style.styled
def plot_depth(report: Report, ax: Axes | None = None) -> Figure:
    """Bars of the last gradient norm of each parameter, model by model.

    An x on hatching where there was none; plain ground where the parameter is frozen. They stand in the order in which
    their modules ran in the traced step, else as they are registered.
    """
    rows, ran = _as_run(style.owners(report.run), report.run.graph)
    figure, ax = style.axes_of(ax, min(max(6.0, 1.5 + 0.14 * len(rows)), 15.0), 4.8)
    if not rows:
        style.nothing(ax, "No parameter was seen.")
        room.head(ax, TITLE)
        return figure
    from matplotlib.ticker import NullLocator

    run, last = report.run, _last_norms(report.run)
    norms = [last.get(uid) for uid, _, _ in rows]
    sizes = [norm for norm in norms if norm and math.isfinite(norm)]
    bottom, top = (min(sizes) / 4, max(sizes) * 2) if sizes else (1e-3, 1.0)
    ax.set_ylim(max(bottom, 1 / style.LARGEST), min(top, style.LARGEST))
    style.log_scale(ax)
    bottom = ax.get_ylim()[0]
    ax.set_ylabel(f"gradient norm (last {'measured' if is_thinned(run) else 'received'})")
    room.settle(ax)
    models = style.boundaries(rows)
    crowded = 72 * room.inches(ax)[0] / len(rows) < NARROW
    for model, start, end in models:
        _draw_model(ax, [(i, norms[i]) for i in range(start, end)], model, bottom, crowded=crowded)
    past = [(i, norms[i]) for i, (uid, _, _) in enumerate(rows) if uid in last and over(run, [uid]) is not None]
    silent = [(i, report.states[uid] is State.FROZEN) for i, (uid, _, _) in enumerate(rows) if uid not in last]
    marks: list[room.Entry] = []
    marks += _mark_frozen(ax, [i for i, frozen in silent if frozen])
    marks += _mark_absent(ax, [i for i, frozen in silent if not frozen], len(rows))
    marks += _mark_past(ax, past, bottom, crowded=crowded)
    shown = [] if room.is_small(ax) else style.thin(len(rows), int(room.inches(ax)[0] * LABELS_PER_INCH))
    ax.set_xticks(shown, [style.name(rows[i][1], 24) for i in shown], rotation=90, fontsize=7.5)
    ax.set_xlim(-0.7, len(rows) - 0.3)
    below = f"parameter, in the order {'in which modules ran' if ran else 'of its model'}"
    ax.set_xlabel(of_passes(run, below) if is_thinned(run) else below)  # kept is the last that was measured
    ax.grid(axis="y")
    if not sizes:  # no norm has a size that an axis could be of
        ax.yaxis.set_major_locator(NullLocator())
    above, named = _name_models(ax, report, models)
    states = style.state_patches(
        ax,
        False,
        any(norm == 0 for norm in norms),
        any(norm is not None and not math.isfinite(norm) for norm in norms),
    )
    room.head(ax, "Gradient along the depth" if room.is_tiny(ax) else TITLE, [*marks, *states, *named], above=above)
    return figure


def _as_run(rows: list[Row], graph: Graph | None) -> tuple[list[Row], bool]:
    """The parameters of each model in the order in which their modules ran, and whether that is known.

    What never ran stands behind what is registered before it.
    """
    uids = {node.id: node.uid for node in graph.nodes} if graph is not None else {}
    used: dict[int, int] = {}
    for edge in graph.edges if graph is not None else ():
        if (uid := uids.get(edge.source)) is not None:
            used[uid] = min(used.get(uid, edge.target), edge.target)
    first: dict[tuple[int, str], int] = {}
    for uid, fqn, model in rows:
        if uid in used:
            module = (model, fqn.rpartition(".")[0])
            first[module] = min(first.get(module, used[uid]), used[uid])
    keys: list[tuple[int, int]] = []
    for _, fqn, model in rows:
        before = keys[-1] if keys and keys[-1][0] == model else (model, -1)
        keys.append((model, first.get((model, fqn.rpartition(".")[0]), before[1])))
    return [rows[i] for i in sorted(range(len(rows)), key=keys.__getitem__)], bool(used)


def _last_norms(run: Run) -> dict[int, float | None]:
    """Of all that ever received a gradient: by the tallies, which forget nothing, else by the events."""
    last: dict[int, float | None] = {}
    for event in run.passes:
        last.update((uid, norm) for uid, norm in event.norms.items() if norm is not None or uid not in last)
    counted = ((uid, tally.norm_last) for uid, tally in run.tallies.items() if tally.backwards)
    last.update((uid, norm) for uid, norm in counted if norm is not None or uid not in last)
    return last


def _draw_model(ax: Axes, norms: list[tuple[int, float | None]], model: int, bottom: float, *, crowded: bool) -> None:
    """The bars; zero and non-finite norms are stubs and full bars in their own colours.

    Of very many, narrower than a pixel, only the outline is drawn: a patch for each takes seconds.
    """
    finite = [(i, norm) for i, norm in norms if norm and math.isfinite(norm)]
    colour = model_colour(model)
    if crowded and finite:
        known = dict(finite)
        tops = [known.get(i, bottom) for i, _ in norms]
        ax.fill_between([i for i, _ in norms], bottom, tops, step="mid", color=colour, linewidth=0)
    else:
        ax.bar([i for i, _ in finite], [n - bottom for _, n in finite], 0.8, bottom=bottom, color=colour)
    zero = [i for i, norm in norms if norm == 0]
    broken = [i for i, norm in norms if norm is not None and not math.isfinite(norm)]
    for positions, height, looks in ((zero, 0.04, style.zero_looks(ax)), (broken, 1.0, style.NONFINITE_LOOKS)):
        if crowded:
            _ground(ax, positions, looks, height, zorder=1)
        else:
            ax.bar(positions, height, 0.8, transform=ax.get_xaxis_transform(), **looks)


def _mark_absent(ax: Axes, positions: list[int], total: int) -> list[room.Entry]:
    """Hatched ground; a mark for each parameter, of very many for each stretch of them."""
    stretches = _ground(ax, positions, style.absent_looks(ax))
    marks = positions if total <= 80 else [(first + last) / 2 for first, last in stretches]
    looks: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "zorder": 3}
    (line,) = ax.plot(marks, [0.03] * len(marks), "x", color=CUT, markersize=5, **looks)
    return [(patch, line) for patch in style.state_patches(ax, bool(marks), False, False)]


def _mark_frozen(ax: Axes, positions: list[int]) -> list[Patch]:
    stretches = _ground(ax, positions, style.frozen_looks(ax))
    return style.state_patches(ax, False, False, False, frozen=bool(stretches))


def _mark_past(ax: Axes, bars: list[tuple[int, float | None]], bottom: float, *, crowded: bool) -> list[Patch]:
    """Hatching over the bars of what received nothing any more since."""
    from matplotlib.patches import Patch

    looks = style.OVER_LOOKS
    sizes = [(i, norm) for i, norm in bars if norm and math.isfinite(norm)]
    if crowded:
        _ground(ax, [i for i, _ in sizes], looks, zorder=2.5)
    else:
        ax.bar([i for i, _ in sizes], [norm - bottom for _, norm in sizes], 0.8, bottom=bottom, zorder=2.5, **looks)
    return [Patch(label="none any more (this was the last)", **looks | {"facecolor": DEAD})] if sizes else []


def _ground(
    ax: Axes, positions: list[int], looks: dict[str, Any], height: float = 1.0, zorder: float = 0.5
) -> list[tuple[int, int]]:
    """Paint the ground at these positions; returns the first and the last of each stretch of them."""
    stretches: list[tuple[int, int]] = []
    for position in positions:
        begun = bool(stretches) and stretches[-1][1] == position - 1
        stretches.append((stretches.pop()[0] if begun else position, position))
    across = ax.get_xaxis_transform()
    for first, last in stretches:
        ax.bar([first - 0.5], height, last - first + 1, align="edge", transform=across, zorder=zorder, **looks)
    return stretches


def _name_models(ax: Axes, report: Report, models: list[tuple[int, int, int]]) -> tuple[float, list[Patch]]:
    """The name of each model over its bars, slanted where they are narrow; in small axes in the legend then.

    Returns how many points they are high, and what the legend has to tell.
    """
    look, small = style.look(ax), room.is_small(ax)
    texts: list[Annotation] = []
    for model, start, end in models:
        if start:
            ax.axvline(start - 0.5, color=DEAD, linewidth=0.8)
        looks: dict[str, Any] = {
            "weight": "bold",
            "fontsize": room.SMALL_LETTERS if small else 8.5,
            "color": look.of_model(model_colour(model)),
        }
        place = ((start + end - 1) / 2, 1.0)
        across = ax.get_xaxis_transform()
        words = style.name(report.run.models[model].name, 24)
        texts.append(
            ax.annotate(words, place, (0, 3), xycoords=across, textcoords="offset points", ha="center", **looks)
        )
    boxes = [text.get_window_extent() for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        if box.x0 < ax.bbox.x0:  # the numbers of the axis stand there
            text.set(ha="left")
            text.xy = (ax.get_xlim()[0], 1.0)
    boxes = [text.get_window_extent() for text in texts]
    lost = 0.0 if room.is_fixed(ax) else SHRINKS  # of the distance between their middles
    if any(
        other.x0 - one.x1 < GAP + lost * (other.x1 + other.x0 - one.x1 - one.x0) / 2 for one, other in pairwise(boxes)
    ):
        for text, (_, start, end) in zip(texts, models, strict=True):  # over its own bars again
            text.set(ha="center")
            text.xy = ((start + end - 1) / 2, 1.0)
        if small:
            return 0.0, _names_in_legend(report, texts, models)
        boxes = _slant(texts, _by_health(report, [model for model, _, _ in models]))
    return room.points(ax, max(box.height for box in boxes)) + 4, []


def _names_in_legend(report: Report, texts: list[Annotation], models: list[tuple[int, int, int]]) -> list[Patch]:
    """No names over the bars."""
    from matplotlib.patches import Patch

    for text in texts:
        text.set_visible(False)
    return [Patch(color=model_colour(m), label=style.name(report.run.models[m].name, 16)) for m, _, _ in models]


def _by_health(report: Report, models: list[int]) -> list[int]:
    """Places of models, those that are not well first."""
    states = {model.name: model.state for model in report.models}
    well = [states.get(report.run.models[m].name) in (State.FLOWING, State.FROZEN) for m in models]
    return sorted(range(len(models)), key=well.__getitem__)


def _slant(texts: list[Annotation], order: list[int]) -> list[Bbox]:
    """Turn texts that stand side by side, upright if they are very close; what still has no room is left out."""
    boxes = [text.get_window_extent() for text in texts]
    middles = [(box.x0 + box.x1) / 2 for box in boxes]
    high = boxes[0].height
    upright = min(b - a for a, b in pairwise(middles)) < 2 * high
    taken: list[float] = []
    for place in order:
        if upright and any(abs(middles[place] - other) < high for other in taken):
            texts[place].set_visible(False)
            continue
        taken.append(middles[place])
        texts[place].set(rotation=90 if upright else 35, ha="left", rotation_mode="anchor")
        texts[place].set_verticalalignment("center" if upright else "baseline")
    return [text.get_window_extent() for text in texts if text.get_visible()]
