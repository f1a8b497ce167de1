"""Histograms of gradient entries per model, on a log2 axis with sign; zeros, NaN and Inf have bars of their own."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradscope.diagnosis.finding import State
from gradscope.errors import GradscopeError
from gradscope.render import figures_room as room
from gradscope.render import figures_style as style
from gradscope.render.figures_kept import unfed
from gradscope.render.figures_turns import lines_of
from gradscope.render.palette import DEAD, TEXT, model_colour
from gradscope.render.words import brief, count, listing, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradscope.records import Histogram
    from gradscope.report import Report

MAX_PANELS = 24
TITLE_PER_INCH, SMALL_PER_INCH = 11, 15
SECOND_ROW = 12
"""Points over the axes for how many entries there are and of which step."""
LETTER = 0.065
"""Inches that a letter of a tick takes."""
BAR = 0.05
"""Inches that a bar has at least."""
FLOOR = 0.7
"""Where bars of counts begin on a log axis."""
DECADE = math.log2(10)


@dataclass(slots=True)
class Entries:
    """All gradient entries of one model at one step, per power of two."""

    step: int = 0
    uids: frozenset[int] = frozenset()
    negative: Counter[int] = field(default_factory=Counter)
    positive: Counter[int] = field(default_factory=Counter)
    zeros: int = 0
    nan: int = 0
    inf: int = 0

    @property
    def total(self) -> int:
        return self.negative.total() + self.positive.total() + self.zeros + self.nan + self.inf


@dataclass(frozen=True, slots=True)
class Panel:
    """What one panel shows: the gradients of these parameters."""

    words: str
    uids: frozenset[int]
    colour: str


@style.styled
def plot_histograms(
    report: Report, ax: Axes | None = None, model: str | None = None, parameter: str | None = None
) -> Figure:
    """Histograms of the gradients at the last step that was sampled, one panel per model, the dead ones first.

    `parameter` asks for one panel per parameter instead: its name, or what the names of several begin with, as in
    `encoder.layers` or `encoder.`. All that is asked for shares one panel if `ax` is given. Raises GradscopeError where
    nothing has such a name.
    """
    panels = _panels_of(report, model, parameter)
    names = len(panels)
    if ax is not None and names > 1:
        what = "parameters" if parameter is not None else "models"
        given = {h.uid for h in report.run.histograms}
        missing = [p for p in panels if p.uids.isdisjoint(given)]
        words = f"{names} {what} together"
        if 0 < len(missing) < names:
            given_to = [p.words for p in panels if p not in missing]
            words = given_to[0] if len(given_to) == 1 else f"{len(given_to)} {what} together"
            words += f"; none in {listing([p.words for p in missing], 2)}"
        panels = [Panel(words, frozenset().union(*(p.uids for p in panels)), DEAD)]
    shown = panels[:MAX_PANELS]
    if ax is not None or not shown:
        figure, only = style.axes_of(ax, 6.0, 3.2)
        axes = [only]
    else:
        columns = len(shown) if len(shown) <= 3 else 2 if len(shown) <= 8 else 4
        rows = -(-len(shown) // columns)
        figure = style.sheet({1: 6.4, 2: 9.6}.get(columns, 4.0 * columns), 2.9 * rows)
        axes = [figure.add_subplot(rows, columns, position + 1) for position in range(len(shown))]
    if not shown:
        style.nothing(axes[0], "No model was seen.")
    last = max((histogram.step for histogram in report.run.histograms), default=0)
    for panel, each in zip(axes, shown, strict=False):
        _draw_panel(panel, report, each, last, "Gradients of " if ax is not None else "")
    if len(panels) > len(shown):
        figure.supxlabel(f"{len(panels) - len(shown)} more are not drawn", fontsize=8, color=TEXT)
    return figure


def _panels_of(report: Report, model: str | None, parameter: str | None) -> list[Panel]:
    models = report.run.models
    names = [each.name for each in models]
    if model is not None and model not in names:
        raise GradscopeError(f"no model {model!r}; there are: {', '.join(names)}")
    if parameter is None:
        panels = [
            Panel(each.name, frozenset(each.parameters), model_colour(index))
            for index, each in enumerate(models)
            if model is None or each.name == model
        ]
        return sorted(panels, key=lambda panel: _place(report, panel)) if len(panels) > MAX_PANELS else panels
    found = [
        Panel(f"{names[index]}.{fqn}" if fqn else names[index], frozenset([uid]), model_colour(index))
        for uid, fqn, index in style.owners(report.run)
    ]
    start = (parameter if model is None else f"{model}.{parameter}").removesuffix(".")
    chosen = [panel for panel in found if f"{panel.words}.".startswith(f"{start}.")]
    if not chosen:
        raise GradscopeError(f"no parameter {start!r}; names are like {', '.join(panel.words for panel in found[:3])}")
    return chosen


def _place(report: Report, panel: Panel) -> int:
    """Where there are too many panels: the dead first, what was frozen last."""
    if any(histogram.uid in panel.uids for histogram in report.run.histograms):
        return 1
    return 2 if _why_empty(report, panel) == "frozen" else 0


def _draw_panel(ax: Axes, report: Report, panel: Panel, last: int, said: str) -> None:
    """One panel; `said` stands before its name: among figures of the user's the name alone says nothing."""
    found = [histogram for histogram in report.run.histograms if histogram.uid in panel.uids]
    if not found:
        why = _why_empty(report, panel)
        looks = {UNSAMPLED: style.unknown_looks, "frozen": style.frozen_looks}.get(why, style.absent_looks)
        _empty(ax, why, looks(ax))
        room.head(ax, said + style.name(panel.words, 80 if said else 40), above=SECOND_ROW)
        return
    ax.set_ylabel("entries")
    room.settle(ax)
    entries = _collect(found)
    low = min([*entries.negative, *entries.positive], default=0)
    high = max([*entries.negative, *entries.positive], default=0)
    wide = _wide(ax, low, high)
    high += -(high - low + 1) % wide  # the last bar is whole
    _draw(ax, entries, low, high, wide, panel.colour)
    _ticks(ax, entries, low, high)
    ax.set_ylim(FLOOR, 2 * ax.dataLim.y1)
    style.log_scale(ax)
    ax.set_ylim(bottom=FLOOR)
    words = "gradient value (log scale on both sides of 0)"
    ax.set_xlabel(words if len(words) < room.inches(ax)[0] * TITLE_PER_INCH else "gradient value (log)")
    ax.grid(axis="y")
    bars = f"; each bar is a factor of {2**wide:,}" if wide > 1 and not room.is_small(ax) else ""
    says = _says(report, panel, entries, last, small=room.is_small(ax)) + bars
    lines = textwrap.wrap(says, max(20, int(room.inches(ax)[0] * SMALL_PER_INCH)))
    place: dict[str, Any] = {"xytext": (0, 4), "xycoords": "axes fraction", "textcoords": "offset points"}
    ax.annotate("\n".join(lines), (0, 1), **place, fontsize=8, color=style.look(ax).text).set_in_layout(False)
    name = style.name(panel.words, 80 if said else max(20, int(room.inches(ax)[0] * TITLE_PER_INCH)))
    room.head(ax, said + name, above=SECOND_ROW * len(lines))


def _says(report: Report, panel: Panel, entries: Entries, last: int, *, small: bool) -> str:
    """How many entries there are, of which step and line, and what of the panel has none."""
    words = f"{entries.total:,} {'entry' if entries.total == 1 else 'entries'}"
    when = f" at step {entries.step}" + ("" if entries.step == last else ", the last sampled")
    if small:
        return words + when
    if len(panel.uids) > 1:
        words += f" of {count(len(entries.uids), 'parameter')}"
    words += when
    lines = lines_of(report.run, sorted(entries.uids))
    if len(lines) == 1 and len(line := next(iter(lines))) == 1 and len(report.flow) > 1:
        (at,) = line  # where several lines reach them, the one that left this is not known
        words += f", left by {style.name(brief(at))}" if at is not None else ""
    others = panel.uids - entries.uids
    frozen = {uid for uid in others if report.states.get(uid) is State.FROZEN}
    given = _given(report, others)
    missing = (
        (len(others - given - frozen), "without gradient"),
        (len(frozen), "frozen"),
        (len(given - frozen), "not counted then"),
    )
    said = ", ".join(f"{amount:,} {why}" for amount, why in missing if amount)
    return f"{words}; {said}" if said else words


UNSAMPLED = "none at the last pass, and none was sampled"
"""Of a model that did get gradients: a histogram is taken of those at hand, or where watch(histograms=) asks for it."""


def _why_empty(report: Report, panel: Panel) -> str:
    return UNSAMPLED if _given(report, panel.uids) else unfed(report, panel.uids)


def _given(report: Report, uids: frozenset[int]) -> frozenset[int]:
    """Those that received a gradient at some time."""
    told = {uid for uid in uids if (tally := report.run.tallies.get(uid)) and tally.backwards}
    return uids & told.union(*(event.norms for event in report.run.backward_events))


def _collect(histograms: list[Histogram]) -> Entries:
    """Add up the histograms of the last sampled step."""
    entries = Entries(max(histogram.step for histogram in histograms))
    for histogram in histograms:
        if histogram.step != entries.step:
            continue
        entries.uids |= {histogram.uid}
        for side, counts in ((entries.negative, histogram.negative), (entries.positive, histogram.positive)):
            side.update({histogram.low + i: c for i, c in enumerate(counts) if c})
        entries.zeros += histogram.zeros
        entries.nan += histogram.nan
        entries.inf += histogram.inf
    return entries


def _draw(ax: Axes, entries: Entries, low: int, high: int, wide: int, colour: str) -> None:
    """Negative entries to the left, zeros in the middle, positive ones to the right, then NaN and Inf."""
    for side, counts in ((-1, entries.negative), (1, entries.positive)):
        if counts:
            first = low + (min(counts) - low) // wide * wide
            bars = [sum(counts[e + i] for i in range(wide)) for e in range(first, max(counts) + 1, wide)]
            edges = [side * (first - low + 1.5 + wide * i) for i in range(len(bars) + 1)]
            ax.stairs(bars[::side], edges[::side], fill=True, color=colour, baseline=FLOOR)
    if entries.zeros:
        ax.bar([0], [entries.zeros], 1.6, **style.zero_looks(ax))
    for position, _, amount in _beyond(ax, entries, high - low + 2):
        ax.bar([position], [amount], 1.8, **style.NONFINITE_LOOKS)


def _wide(ax: Axes, low: int, high: int) -> int:
    """How many powers of two share a bar, so that none is a hairline."""
    most = max(8.0, room.inches(ax)[0] / BAR)
    return math.ceil(2 * (high - low + 1) / most)


def _beyond(ax: Axes, entries: Entries, width: int) -> list[tuple[float, str, int]]:
    """Place, name and amount of NaN and Inf: so far from the numbers and each other that the names have room."""
    gap = max(3.0, BETWEEN * LETTER * (2 * width + 8) / room.inches(ax)[0])
    found = [(words, amount) for words, amount in (("NaN", entries.nan), ("Inf", entries.inf)) if amount]
    return [(width - 0.5 + gap * (nth + 1), words, amount) for nth, (words, amount) in enumerate(found)]


def _ticks(ax: Axes, entries: Entries, low: int, high: int) -> None:
    """Ticks at decades, as many as have room; a value 2**e stands at the lower edge of the bar of e."""
    width = high - low + 2
    beyond = _beyond(ax, entries, width)
    right = beyond[-1][0] + 2 if beyond else width + 1
    ax.set_xlim(-width - 1, right)
    first, last = math.ceil(low / DECADE), math.floor((high + 1) / DECADE)
    longest = max((len(_decade(power)) + 2 for power in range(first, last + 1)), default=0)
    needed = longest * LETTER * (right + width + 1) / room.inches(ax)[0]
    decades = range(last, first - 1, -max(1, math.ceil(needed / DECADE)))
    places = [(power * DECADE - low + 1.5, _decade(power)) for power in decades]
    places = [(place, words) for place, words in places if place >= 0.7 * needed]
    places = places or [(width - 0.5, number(2.0**high))]
    ticks = [(0.0, "0"), *places, *((-place, f"-{words}") for place, words in places)]
    ticks += [(place, words) for place, words, _ in beyond]
    ticks.sort()
    ax.set_xticks([place for place, _ in ticks], [words for _, words in ticks], fontsize=8)
    if beyond:
        ax.axvline(width + 1, color=DEAD, linewidth=0.8, linestyle=":")


def _decade(power: int) -> str:
    return number(10.0**power) if abs(power) <= 3 else f"1e{power}"


def _empty(ax: Axes, words: str, looks: dict[str, Any]) -> None:
    from matplotlib.patches import Rectangle

    ax.set_xticks([])
    ax.set_yticks([])
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, **looks))
    look = style.look(ax)
    box = {"facecolor": look.paper, "edgecolor": "none", "pad": 4}
    ax.text(0.5, 0.5, words, ha="center", va="center", color=look.ink, transform=ax.transAxes, bbox=box)


BETWEEN = 5
"""Letters from the middle of one name to that of the next."""
