"""Figures over time: gradient norm per backward pass, update ratio per optimizer step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import PurePath
from typing import TYPE_CHECKING

from gradscope.records.columns import numbers_of
from gradscope.records.former import ever
from gradscope.records.sizes import median
from gradscope.render import figures_room as room
from gradscope.render import figures_style as style
from gradscope.render.figures_kept import ADDED_SAYS, gaps_of, is_added, of_passes, uncompared, unfed
from gradscope.render.figures_silence import over, silences
from gradscope.render.figures_strokes import MAX_LINES, Line, Series, draw
from gradscope.render.palette import DEAD
from gradscope.render.words import UNKNOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradscope.records import Backward, Location, OptimizerStep
    from gradscope.report import Report

HEALTHY_RATIO = (3e-4, 3e-3)
"""Around 1e-3: the rule of thumb of Karpathy's lecture notes (CS231n, "Ratio of weights:updates")."""
TICKS_PER_INCH = 2.5


@style.styled
def plot_norms(report: Report, ax: Axes | None = None) -> Figure:
    """Gradient norm of each model over the backward passes; a gap where it received nothing, hatched where for long.

    A model that several `backward()` lines reach has a line for each.
    """
    run, events = report.run, report.run.passes
    lines = [line for index in range(len(run.models)) for line in _lines_of(report, index, events)]
    indexes = [event.index for event in events]
    figure, ax = style.axes_of(ax, 8.0, 4.0)
    _show_all(ax, max(run.backwards, *indexes[-1:], 1))
    handles = draw(ax, lines, report, gaps_of(indexes, run.backwards), "No gradient was measured.")
    below = of_passes(run, "backward pass") + f"\n{ADDED_SAYS}" * any(line.added for line in lines)
    _dress(ax, below, "gradient norm (2-norm)")
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
        lines.append(Line(model.name, index, 0, series, why, remark=_remark(report, index)))
    figure, ax = style.axes_of(ax, 8.0, 4.0)
    if any(line.series for line in lines):
        look = style.look(ax)
        ax.axhspan(*HEALTHY_RATIO, color=look.ground, linewidth=0, zorder=0.3)
        ax.axhline(1e-3, color=DEAD, linewidth=0.8, linestyle=":", zorder=0.3)
        across = ax.get_yaxis_transform()
        ax.text(0.995, HEALTHY_RATIO[1], "usual", ha="right", va="top", color=look.text, fontsize=8, transform=across)
    sampled = sorted({e.step for e in events})
    words = _steps_shown(ax, sampled, run.steps)
    holes = uncompared(run, sampled, max(run.steps, sampled[-1] + 1)) if sampled else []
    handles = draw(ax, lines, report, holes, "No update was sampled.", medians=True)
    _dress(ax, words, "update / weight (2-norms, median)")
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
    _show_all(ax, total)
    return f"step (compared at {len(sampled):,} of {total:,} steps)" if len(sampled) < total else "step"


def _show_all(ax: Axes, total: int) -> None:
    """Make the axis as long as the run."""
    room = max(0.05 * (total - 1), 0.05)
    ax.set_xlim(-room, total - 1 + room)


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
    silent, remark = silences(report.run, ever(report.run)[words]), _remark(report, index)
    if len(reached) > 3 or len(report.run.models) > MAX_LINES:
        reached = {None: list(events)}
    several = len(reached) > 1
    return [
        Line(
            words,
            index,
            nth,
            _series(found, model.parameters),
            "not measured",
            silent,
            remark,
            _place(at) if several else "",
            is_added(found, members),
        )
        for nth, (at, found) in enumerate(reached.items())
    ]


def _remark(report: Report, index: int) -> str:
    """What the gaps of a line mean: that nothing comes any more, or now and then."""
    run, model = report.run, report.run.models[index]
    end = over(run, ever(run)[model.name])
    if end is not None:
        return f"no gradient from pass {end:,} on"
    tallies = [t for uid in model.parameters if (t := run.tallies.get(uid)) is not None and t.backwards]
    often = max(tallies, key=lambda tally: tally.steps - tally.steps_none, default=None)
    if often is None or not 0 < often.steps_none < often.steps:
        return ""
    return f"a gradient at {often.steps - often.steps_none:,} of {often.steps:,} steps"


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


def _dress(ax: Axes, below: str, beside: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel(below)
    ax.set_ylabel(beside)
    ax.grid(axis="y")
    ticks = max(2, min(10, int(TICKS_PER_INCH * room.inches(ax)[0])))
    ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True, min_n_ticks=1))
