"""Figures over time: gradient norm per backward pass, update ratio per optimizer step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from gradscope.diagnosis.finding import State
from gradscope.records.columns import numbers_of
from gradscope.records.sizes import median
from gradscope.render import figures_room as room
from gradscope.render import figures_style as style
from gradscope.render.figures_kept import Span, crosses, gaps_of, kept_of, mark_holes, unfed
from gradscope.render.palette import DEAD, MODEL_COLOURS, model_colour
from gradscope.render.words import UNKNOWN, count

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradscope.records import Backward, Location, OptimizerStep
    from gradscope.report import Report

HEALTHY_RATIO = (3e-4, 3e-3)
"""Around 1e-3: the rule of thumb of Karpathy's lecture notes (CS231n, "Ratio of weights:updates")."""
MAX_MARKED = 150
THICK, THIN = 1.3, 0.6
"""Points; between two samples a line is a guess."""
MAX_LINES = 8
"""Of more models, those that are well share one band."""

Series = Sequence[tuple[int, float | None]]
"""x and value; None is a gap."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a figure: of which model, and the how many-th of its `backward()` lines."""

    words: str
    model: int
    nth: int
    series: Series
    missing: str = ""
    """What to say if there is nothing to draw."""


@style.styled
def plot_norms(report: Report, ax: Axes | None = None) -> Figure:
    """Gradient norm of each model over the backward passes; a gap where it received nothing.

    A model that several `backward()` lines reach has a line for each.
    """
    run, events = report.run, report.run.passes
    lines = [line for index in range(len(run.models)) for line in _lines_of(report, index, events)]
    kept = kept_of([event.index for event in events], run.backwards)
    figure, ax = style.axes_of(ax, 8.0, 4.0)
    handles = _draw(ax, lines, report, kept.holes, "No gradient was measured.")
    _dress(ax, kept.axis, "gradient norm (2-norm)")
    room.head(ax, "Gradient norm of each model", handles)
    return figure


@style.styled
def plot_updates(report: Report, ax: Axes | None = None) -> Figure:
    """Update ratio of each model over the steps, with the usual range as a band."""
    run, events = report.run, report.run.updates
    lines: list[Line] = []
    for index, model in enumerate(run.models):
        members = set(model.parameters)
        found = ((e.step, median(_ratios(e, members))) for e in events)
        series = [(step, ratio) for step, ratio in found if ratio is not None]
        why = unfed(report, members)
        if _ever(report, members):
            why = "from zero: no ratio" if any(members & event.ratios.keys() for event in events) else "not sampled"
        lines.append(Line(model.name, index, 0, series, why))
    figure, ax = style.axes_of(ax, 8.0, 4.0)
    if any(line.series for line in lines):
        look = style.look(ax)
        ax.axhspan(*HEALTHY_RATIO, color=look.ground, linewidth=0, zorder=0.3)
        ax.axhline(1e-3, color=DEAD, linewidth=0.8, linestyle=":", zorder=0.3)
        across = ax.get_yaxis_transform()
        ax.text(0.995, HEALTHY_RATIO[1], "usual", ha="right", va="top", color=look.text, fontsize=8, transform=across)
    sampled = sorted({e.step for e in events})
    handles = _draw(ax, lines, report, gaps_of(sampled), "No update was sampled.", medians=True)
    _dress(ax, _steps_shown(ax, sampled, run.steps), "update / weight (2-norms, median)")
    room.head(ax, "Size of the updates", handles)
    return figure


def _ratios(event: OptimizerStep, members: Set[int]) -> Iterator[float]:
    """Of what was not zero; what moves from nothing has no ratio."""
    return (ratio for uid, ratio in event.ratios.items() if uid in members and event.weights.get(uid) != 0)


def _steps_shown(ax: Axes, sampled: Sequence[int], total: int) -> str:
    """Make the axis as long as the run, and say in words what it shows: training did not end at the last sample."""
    if not sampled:
        return "step"
    total = max(total, sampled[-1] + 1)
    room = max(0.05 * (total - 1), 0.05)
    ax.set_xlim(-room, total - 1 + room)
    return f"step (compared at {len(sampled):,} of {total:,} steps)" if len(sampled) < total else "step"


def _lines_of(report: Report, index: int, events: Sequence[Backward]) -> list[Line]:
    """The lines of one model: where several losses alternate, one for each."""
    model = report.run.models[index]
    words = model.name
    members = set(model.parameters)
    places: dict[Location | None, list[Backward]] = {}
    for event in events:
        places.setdefault(event.location, []).append(event)
    reached = {at: found for at, found in places.items() if any(not members.isdisjoint(e.norms) for e in found)}
    if not reached:
        return [Line(words, index, 0, [], UNKNOWN if _ever(report, members) else unfed(report, members))]
    if len(reached) > 3 or len(report.run.models) > MAX_LINES:
        return [Line(words, index, 0, _series(events, model.parameters), "not measured")]
    several = len(reached) > 1
    return [
        Line(
            f"{words} ({_place(at)})" if several else words,
            index,
            nth,
            _series(found, model.parameters),
            "not measured",
        )
        for nth, (at, found) in enumerate(reached.items())
    ]


def _ever(report: Report, uids: Iterable[int]) -> bool:
    """Whether any of these ever received a gradient."""
    return any((tally := report.run.tallies.get(uid)) and tally.backwards for uid in uids)


def _place(location: Location | None) -> str:
    return f"{PurePath(location.file).name}:{location.line}" if location else "?"


def _series(events: Sequence[Backward], uids: Sequence[int]) -> Series:
    """2-norm at each pass, None where it left nothing; a pass whose norm was not measured is left out."""
    series: list[tuple[int, float | None]] = []
    for event in events:
        found = numbers_of(event.norms, uids)
        measured = [norm for norm in found if norm is not None]
        if measured or not found:
            series.append((event.index, math.hypot(*measured) if found else None))
    return series


# --- drawing -------------------------------------------------------------------------------------------------


def _draw(
    ax: Axes, lines: Sequence[Line], report: Report, holes: Sequence[Span], empty: str, *, medians: bool = False
) -> list[Artist]:
    """Lines on a log axis; zeros as marks at the bottom, NaN and Inf at the top. What is not well comes first.

    `medians`: they are of many parameters, of which some may well not be zero; they are drawn thin.
    """
    if not any(value is not None for line in lines for _, value in line.series):
        style.nothing(ax, empty)
        return []
    single, crowd = _split(lines, report)
    handles: list[Artist] = [_draw_line(ax, line, holes, THIN if medians else THICK) for line in single]
    if crowd:
        handles.append(_draw_band(ax, crowd, holes))
    handles += _mark_edges(ax, single, "median " * medians)
    style.log_scale(ax)
    return handles + list(mark_holes(ax, holes))


def _split(lines: Sequence[Line], report: Report) -> tuple[list[Line], list[Line]]:
    """Lines to draw one by one, and those of models that are well if there are too many."""
    if len(report.run.models) <= MAX_LINES:
        return list(lines), []
    well = {m.name for m in report.models if m.state in (State.FLOWING, State.FROZEN)}
    names = [model.name for model in report.run.models]
    crowd = [line for line in lines if names[line.model] in well and any(v is not None for _, v in line.series)]
    if len(crowd) < 3:
        return list(lines), []
    apart = {id(line) for line in crowd}
    return [line for line in lines if id(line) not in apart], crowd


def _draw_line(ax: Axes, line: Line, holes: Sequence[Span], width: float) -> Artist:
    from matplotlib.lines import Line2D

    styles = ("-", "--", ":", "-.")
    turn = line.nth or (line.model // len(MODEL_COLOURS)) % 3
    looks: dict[str, Any] = {"color": model_colour(line.model), "linestyle": styles[turn % 4], "linewidth": width}
    xs, ys = _path(line.series, holes)
    marker = "os^D"[line.nth % 4]
    few = len(xs) <= MAX_MARKED
    ax.plot(xs, ys, marker=marker if few else "", markersize=3.5, **looks)
    if not few:
        # What stands alone between two gaps is no line, and would be lost.
        alone = [i for i in range(len(xs)) if not any(_there(ys, i + step) for step in (-1, 1))]
        ax.plot([xs[i] for i in alone], [ys[i] for i in alone], marker, markersize=2, color=looks["color"])
    present = any(value is not None for _, value in line.series)
    words = style.name(line.words, 32) + ("" if present else f" ({line.missing})")
    return Line2D([], [], label=words, marker=marker if present else "", markersize=3.5, **looks)


def _path(series: Series, holes: Sequence[Span]) -> tuple[list[float], list[float]]:
    """The points of a line, with a break wherever something between two of them is not known."""
    xs: list[float] = []
    ys: list[float] = []
    for x, value in series:
        if xs and crosses(holes, xs[-1], x):
            xs.append(x)
            ys.append(math.nan)
        xs.append(x)
        ys.append(_drawable(value))
    return xs, ys


def _there(ys: Sequence[float], index: int) -> bool:
    return 0 <= index < len(ys) and not math.isnan(ys[index])


def _draw_band(ax: Axes, crowd: Sequence[Line], holes: Sequence[Span]) -> Artist:
    """From the smallest to the largest norm of many models, with the median."""
    from matplotlib.patches import Patch

    points: dict[int, list[float]] = {}
    for line in crowd:
        for x, value in line.series:
            points.setdefault(x, []).append(_drawable(value))
    rows = [(x, _spread(values)) for x, values in sorted(points.items())]
    xs: list[float] = []
    ranges: list[tuple[float, float, float]] = []
    for x, spread in rows:
        if xs and crosses(holes, xs[-1], x):
            xs.append(x)
            ranges.append((math.nan,) * 3)
        xs.append(x)
        ranges.append(spread)
    low, middle, high = np.array(ranges).T
    ax.fill_between(xs, low, high, color=DEAD, alpha=0.35, linewidth=0, zorder=1)
    ax.plot(xs, middle, color=DEAD, linewidth=1.3, zorder=1.5)
    return Patch(color=DEAD, alpha=0.6, label=f"{count(len(crowd), 'flowing model')}: range, median")


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    found = sorted(value for value in values if not math.isnan(value))
    return (found[0], found[len(found) // 2], found[-1]) if found else (math.nan,) * 3


def _mark_edges(ax: Axes, lines: Sequence[Line], of: str) -> list[Artist]:
    """Zeros at the bottom and NaN and Inf at the top, those of each line at a height of its own."""
    from matplotlib.lines import Line2D

    handles: list[Artist] = []
    for label, symbol, start, way, hit in _EDGES:
        found = [(line, [x for x, v in line.series if v is not None and hit(v)]) for line in lines]
        found = [(line, xs) for line, xs in found if xs]
        for place, (line, xs) in enumerate(found):
            heights = [start + way * 0.025 * min(place, 8)] * len(xs)
            looks: dict[str, Any] = {"color": model_colour(line.model), "markersize": 5, "clip_on": False}
            ax.plot(xs, heights, symbol, transform=ax.get_xaxis_transform(), **looks)
        if found:
            handles.append(Line2D([], [], linestyle="", marker=symbol, color=style.look(ax).text, label=of + label))
    return handles


_EDGES = (
    ("exactly zero", "v", 0.015, 1, lambda value: value == 0),
    ("NaN or Inf", "x", 0.985, -1, lambda value: not math.isfinite(value)),
)


def _drawable(value: float | None) -> float:
    return value if value is not None and value > 0 and math.isfinite(value) else math.nan


def _dress(ax: Axes, below: str, beside: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel(below)
    ax.set_ylabel(beside)
    ax.grid(axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
