"""Histograms of gradient entries per model, on a log2 axis with sign; zeros, NaN and Inf have bars of their own."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradscope.errors import GradscopeError
from gradscope.render import figures_style as style
from gradscope.render.palette import DEAD, TEXT, model_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradscope.records import Histogram
    from gradscope.report import Report

MAX_PANELS = 24
DECADE = math.log2(10)


@dataclass(slots=True)
class Entries:
    """All gradient entries of one model at one step, per power of two."""

    step: int = 0
    negative: Counter[int] = field(default_factory=Counter)
    positive: Counter[int] = field(default_factory=Counter)
    zeros: int = 0
    nan: int = 0
    inf: int = 0

    @property
    def total(self) -> int:
        return self.negative.total() + self.positive.total() + self.zeros + self.nan + self.inf


@style.styled
def plot_histograms(report: Report, ax: Axes | None = None, model: str | None = None) -> Figure:
    """Histograms of the gradients at the last step that was sampled, one panel per model.

    Given `ax`, draws `model` there, or the first model. Raises GradscopeError for a model that does not exist.
    """
    names = [each.name for each in report.run.models]
    if model is not None and model not in names:
        raise GradscopeError(f"no model {model!r}; there are: {', '.join(names)}")
    chosen = [model] if model is not None else names[:1] if ax is not None else names[:MAX_PANELS]
    if ax is not None or not chosen:
        figure, only = style.axes_of(ax, 6.0, 3.2)
        axes = [only]
    else:
        columns = len(chosen) if len(chosen) <= 3 else 2 if len(chosen) <= 8 else 4
        rows = -(-len(chosen) // columns)
        figure = style.sheet({1: 6.4, 2: 9.6}.get(columns, 4.0 * columns), 2.9 * rows)
        axes = [figure.add_subplot(rows, columns, position + 1) for position in range(len(chosen))]
    if not chosen:
        style.nothing(axes[0], "No model was seen.")
    for panel, each in zip(axes, chosen, strict=False):
        _panel(panel, report, each, names.index(each))
    if len(names) > len(chosen) and model is None and ax is None:
        figure.supxlabel(f"{len(names) - len(chosen)} more models are not drawn", fontsize=8, color=TEXT)
    return figure


def _panel(ax: Axes, report: Report, model: str, index: int) -> None:
    uids = set(report.run.models[index].parameters)
    found = [histogram for histogram in report.run.histograms if histogram.uid in uids]
    words = style.name(model, 24)
    if not found:
        given = any(uid in event.norms for event in report.run.backward_events for uid in uids)
        _hatched(ax, "no histogram was sampled" if given else "no gradient")
        style.head(ax, words)
        return
    entries = _collect(found)
    low = min([*entries.negative, *entries.positive], default=0)
    high = max([*entries.negative, *entries.positive], default=0)
    _draw(ax, entries, low, high, model_colour(index))
    _ticks(ax, entries, low, high)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.7)
    ax.set_ylabel("entries")
    ax.set_xlabel("gradient value, by powers of two")
    ax.grid(axis="y")
    style.head(ax, f"{words}: {entries.total:,} entries at step {entries.step}")


def _collect(histograms: list[Histogram]) -> Entries:
    """Add up the histograms of the last sampled step."""
    entries = Entries(max(histogram.step for histogram in histograms))
    for histogram in histograms:
        if histogram.step != entries.step:
            continue
        for side, counts in ((entries.negative, histogram.negative), (entries.positive, histogram.positive)):
            side.update({histogram.low + i: c for i, c in enumerate(counts) if c})
        entries.zeros += histogram.zeros
        entries.nan += histogram.nan
        entries.inf += histogram.inf
    return entries


def _draw(ax: Axes, entries: Entries, low: int, high: int, colour: str) -> None:
    """Negative entries to the left, zeros in the middle, positive ones to the right, then NaN and Inf."""
    for side, counts in ((-1, entries.negative), (1, entries.positive)):
        ax.bar([side * (e - low + 2) for e in counts], list(counts.values()), 0.92, color=colour)
    if entries.zeros:
        ax.bar([0], [entries.zeros], 1.6, facecolor=style.ZERO, edgecolor=DEAD, linewidth=0.8)
    width = high - low + 2
    for place, amount in enumerate((entries.nan, entries.inf)):
        if amount:
            position = width + 2.5 + 3 * place
            ax.bar([position], [amount], 1.8, color=style.NONFINITE, hatch="xx", edgecolor="white", linewidth=0)


def _ticks(ax: Axes, entries: Entries, low: int, high: int) -> None:
    """A tick per decade or per few decades; a value 2**e stands at the lower edge of the bar of e."""
    first, last = math.ceil(low / DECADE), math.floor((high + 1) / DECADE)
    every = max(1, -(-(last - first + 1) // 4))
    ticks = [(0.0, "0")]
    for decade in range(last, first - 1, -every):
        place = decade * DECADE - low + 1.5
        ticks += [(place, f"1e{decade}"), (-place, f"-1e{decade}")]
    width = high - low + 2
    ticks += [(width + 2.5, "NaN")] * bool(entries.nan) + [(width + 5.5, "Inf")] * bool(entries.inf)
    ticks.sort()
    ax.set_xticks([place for place, _ in ticks], [words for _, words in ticks], fontsize=8)
    ax.set_xlim(-width - 1, width + (7.5 if entries.inf else 4.5 if entries.nan else 1))
    if entries.nan or entries.inf:
        ax.axvline(width + 1, color=DEAD, linewidth=0.8, linestyle=":")


def _hatched(ax: Axes, words: str) -> None:
    from matplotlib.patches import Rectangle

    ax.set_xticks([])
    ax.set_yticks([])
    ground = Rectangle(
        (0, 0),
        1,
        1,
        facecolor=style.ABSENT_FACE,
        edgecolor=DEAD,
        hatch=style.HATCH,
        linewidth=0,
        transform=ax.transAxes,
    )
    ax.add_patch(ground)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 4}
    ax.text(0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes, bbox=box)
