"""Lines over time as they are drawn: what is not well comes first, and no line leads over what is not known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradscope.diagnosis.finding import State
from gradscope.render import figures_room as room
from gradscope.render import figures_style as style
from gradscope.render.figures_kept import ADDED, Span, crosses, mark_holes
from gradscope.render.palette import DEAD, MODEL_COLOURS, model_colour
from gradscope.render.words import UNKNOWN, count

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from gradscope.report import Report

MAX_MARKED = 150
THICK, THIN = 1.3, 0.6
"""Points; between two samples a line is a guess."""
APART = 0.01
"""Share of the axis from which on the way between two neighbours is such a guess."""
MAX_LINES = 8
"""Of more models, those that are well share one band."""
ROW, ROWS = 0.03, 8
"""Share of the axes' height that the silence of one model takes, and how many have a row of their own."""

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
    silences: Sequence[Span] = ()
    """Where it is known that the model received nothing for long."""
    remark: str = ""
    """What to say if there is something to draw."""
    place: str = ""
    """Which of its `backward()` lines, where there are several."""
    added: bool = False
    """Its norms are of sums with what earlier passes had left."""

    @property
    def is_there(self) -> bool:
        return any(value is not None for _, value in self.series)


def draw(
    ax: Axes, lines: Sequence[Line], report: Report, holes: Sequence[Span], empty: str, *, medians: bool = False
) -> list[Artist]:
    """Lines on a log axis; zeros as marks at the bottom, NaN and Inf at the top. What is not well comes first.

    `medians`: of many parameters at some steps, of which some may well not be zero; they are drawn thin.
    """
    if not any(line.is_there for line in lines):
        style.nothing(ax, empty)
        return []
    single, crowd = _split(lines, report)
    drawn = [(line, _draw_line(ax, line, holes, medians=medians)) for line in single]
    handles: list[Artist] = [handle for line, handle in drawn if not (line.nth and room.is_small(ax))]
    if crowd:
        handles.append(_draw_band(ax, crowd, holes))
    silent = _silent(single)
    floor = ROW * min(len(silent), ROWS)
    handles += _mark_edges(ax, single, "median " * medians, floor)
    style.log_scale(ax)
    handles += _mark_silences(ax, silent)
    return handles + list(mark_holes(ax, holes, "not compared" if medians else UNKNOWN))


def _split(lines: Sequence[Line], report: Report) -> tuple[list[Line], list[Line]]:
    """Lines to draw one by one, and those of models that are well if there are too many."""
    if len(report.run.models) <= MAX_LINES:
        return list(lines), []
    well = {m.name for m in report.models if m.state in (State.FLOWING, State.FROZEN)}
    names = [model.name for model in report.run.models]
    crowd = [line for line in lines if names[line.model] in well and line.is_there and not line.silences]
    if len(crowd) < 3:
        return list(lines), []
    apart = {id(line) for line in crowd}
    return [line for line in lines if id(line) not in apart], crowd


def _draw_line(ax: Axes, line: Line, holes: Sequence[Span], *, medians: bool) -> Artist:
    from matplotlib.lines import Line2D

    styles = ("-", "--", ":", "-.")
    turn = line.nth or (line.model // len(MODEL_COLOURS)) % 3
    looks: dict[str, Any] = {"color": model_colour(line.model), "linestyle": styles[turn % 4]}
    xs, ys = _path(line.series, (*holes, *line.silences))
    marker = "os^D"[line.nth % 4]
    few = sum(not math.isnan(y) for y in ys) <= MAX_MARKED
    left, right = map(float, ax.get_xlim())
    guesses = [b - a > max(APART * (right - left), 1) for a, b in pairwise(xs)]
    thin = medians or any(guesses)
    ax.plot(xs, ys, marker=marker if few else "", markersize=3.5, linewidth=THIN if thin else THICK, **looks)
    if not medians and thin and not all(guesses):
        ax.plot(*_broken(xs, ys, guesses), linewidth=THICK, **looks)
    if not few:
        # What stands alone between two gaps is no line, and would be lost.
        away = [True, *guesses, True]
        alone = [i for i in range(len(xs)) if all(away[i + s] or not _there(ys, i + 2 * s - 1) for s in (0, 1))]
        ax.plot([xs[i] for i in alone], [ys[i] for i in alone], marker, markersize=2, color=looks["color"])
    remark = line.remark if line.is_there else line.missing
    words = f"{line.words} ({line.place})" if line.place else line.words
    words = style.name(words, 32) + f" {ADDED}" * line.added + (f" ({remark})" if remark else "")
    if room.is_small(ax):
        words = style.name(line.words, 16) + (f" ({remark})" if remark and not line.is_there else "")
    if not line.is_there:
        return _absent(ax, line, words)
    return Line2D([], [], label=words, marker=marker, markersize=3.5, linewidth=THIN if medians else THICK, **looks)


def _absent(ax: Axes, line: Line, words: str) -> Artist:
    """What the legend shows of a line that is not there: its hatched bar, else nothing."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if not line.silences:
        return Line2D([], [], label=words, linestyle="")
    return Patch(label=words, **style.absent_looks(ax) | {"edgecolor": model_colour(line.model)})


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


def _broken(xs: Sequence[float], ys: Sequence[float], breaks: Sequence[bool]) -> tuple[list[float], list[float]]:
    """The same points with a break in each place where there is to be one."""
    points = [(xs[0], ys[0])]
    for x, y, broken in zip(xs[1:], ys[1:], breaks, strict=True):
        points += [(x, math.nan)] * broken + [(x, y)]
    return [x for x, _ in points], [y for _, y in points]


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


def _mark_edges(ax: Axes, lines: Sequence[Line], of: str, floor: float) -> list[Artist]:
    """Zeros at the bottom, above `floor`, and NaN and Inf at the top, those of each line at a height of its own."""
    from matplotlib.lines import Line2D

    handles: list[Artist] = []
    for label, symbol, start, way, hit in _EDGES:
        found = [(line, [x for x, v in line.series if v is not None and hit(v)]) for line in lines]
        found = [(line, xs) for line, xs in found if xs]
        for place, (line, xs) in enumerate(found):
            heights = [start + way * 0.025 * min(place, 8) + floor * (way > 0)] * len(xs)
            looks: dict[str, Any] = {"color": model_colour(line.model), "markersize": 5, "clip_on": False}
            ax.plot(xs, heights, symbol, transform=ax.get_xaxis_transform(), **looks)
        if found:
            handles.append(Line2D([], [], linestyle="", marker=symbol, color=style.look(ax).text, label=of + label))
    return handles


_EDGES = (
    ("exactly zero", "v", 0.015, 1, lambda value: value == 0),
    ("NaN or Inf", "x", 0.985, -1, lambda value: not math.isfinite(value)),
)


def _silent(lines: Sequence[Line]) -> list[Line]:
    """One line of each model that was silent for long."""
    return list({line.model: line for line in lines if line.silences}.values())


def _mark_silences(ax: Axes, lines: Sequence[Line]) -> list[Artist]:
    """Hatched bars at the bottom where a model received nothing, each in its colour; the lines are moved up for it."""
    from matplotlib.patches import Patch

    if not lines:
        return []
    taken = ROW * min(len(lines), ROWS)
    low, high = (math.log10(end) for end in ax.get_ylim())
    ax.set_ylim(max(10 ** (high - (high - low) / (1 - taken)), 1 / style.LARGEST))
    looks = style.absent_looks(ax)
    for place, line in enumerate(lines):
        at = ROW * min(place, ROWS - 1)
        for start, end in line.silences:
            ax.axvspan(
                start - 0.5, end - 0.5, at, at + 0.8 * ROW, zorder=2, **looks | {"edgecolor": model_colour(line.model)}
            )
    return [Patch(label="no gradient", **looks)]


def _drawable(value: float | None) -> float:
    return value if value is not None and value > 0 and math.isfinite(value) else math.nan
