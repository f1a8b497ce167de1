"""Figures that are matrices: backward line x model, and parameter x backward pass."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gradscope.render import figures_style as style
from gradscope.render.palette import INK, PAPER, model_colour, shade
from gradscope.render.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    from gradscope.report import Report

COLOURS = "viridis"
LEAST_DECADES = 2.0
ABSENT = -1.0
"""In a matrix of norms: received nothing. A norm is never negative."""

Matrix = np.ndarray[Any, np.dtype[np.float64]]


@style.styled
def plot_flow(report: Report, ax: Axes | None = None) -> Figure:
    """Heat map of the flow: which `backward()` line left how much gradient in which model."""
    rows, models = report.flow, report.models
    figure, ax = style.axes_of(ax, 3.6 + 1.1 * len(models), 1.9 + 0.42 * len(rows))
    if not rows or not models:
        style.nothing(ax, "No backward pass was seen.")
        return figure
    norms = np.array([[_value(row.models.get(m.name), m.name in row.models) for m in models] for row in rows])
    mapped = _paint(figure, ax, norms, "Which backward reaches which model")
    columns, lines = style.thin(len(models)), style.thin(len(rows))
    ax.set_xticks(columns, [style.name(models[i].name, 20) for i in columns], rotation=30 if len(models) > 5 else 0)
    ax.set_yticks(lines, [f"{style.name(str(rows[i].location or '?'))}  x{rows[i].count}" for i in lines])
    ax.set_xlabel("model")
    ax.set_ylabel("backward() line, calls")
    if norms.size <= 300:
        _write_numbers(ax, norms, mapped)
    return figure


@style.styled
def plot_heatmap(report: Report, ax: Axes | None = None) -> Figure:
    """Heat map of parameter x backward pass: log10 of the gradient norm."""
    rows, events = style.owners(report.run), report.run.backward_events
    height = min(max(2.8, 1.6 + 0.17 * len(rows)), 11.0)
    figure, ax = style.axes_of(ax, 8.5, height)
    if not rows or not events:
        style.nothing(ax, "No backward pass was seen.")
        return figure
    norms = np.array([[_value(e.norms.get(uid), uid in e.norms) for e in events] for uid, _, _ in rows])
    _paint(figure, ax, norms, "Gradient norm of every parameter")
    shown = style.thin(len(rows))
    ax.set_yticks(shown, [style.name(rows[i][1]) for i in shown], fontsize=7)
    columns = style.thin(len(events), 12)
    ax.set_xticks(columns, [str(events[i].index) for i in columns])
    ax.set_xlabel("backward pass")
    for model, start, end in style.boundaries(rows):
        if start:
            ax.axhline(start - 0.5, color=PAPER, linewidth=2.5)
        _bracket(ax, report.run.models[model].name, model, start, end)
    return figure


def _bracket(ax: Axes, model: str, index: int, start: int, end: int) -> None:
    """A bar in the model's colour along its rows, with its name."""
    across = ax.get_yaxis_transform()
    colour = model_colour(index)
    ax.plot([1.012, 1.012], [start - 0.4, end - 0.6], color=colour, linewidth=4, transform=across, clip_on=False)
    words = style.name(model, 24)
    ax.text(1.024, (start + end - 1) / 2, words, rotation=90, va="center", color=shade(colour, 0.75), transform=across)


def _value(norm: float | None, present: bool) -> float:
    if norm is None:
        return ABSENT
    return norm if present else ABSENT


def _paint(figure: Figure, ax: Axes, norms: Matrix, words: str) -> ScalarMappable:
    """Draw the cells: colour by log10, own colours for zero and non-finite, the hatched ground where absent."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgba
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    finite = norms[np.isfinite(norms) & (norms > 0)]
    low, high = (math.log10(finite.min()), math.log10(finite.max())) if finite.size else (-1.0, 0.0)
    if high - low < LEAST_DECADES:
        low, high = (low + high - LEAST_DECADES) / 2, (low + high + LEAST_DECADES) / 2
    # The darkest end of the map is left out: exact zero is drawn in ink.
    mapped = ScalarMappable(Normalize(low - 0.15 * (high - low), high), COLOURS)
    logs = np.log10(np.where(np.isfinite(norms) & (norms > 0), norms, 1.0))
    pixels = mapped.to_rgba(logs)
    absent, zero, broken = norms == ABSENT, norms == 0, ~np.isfinite(norms)
    pixels[zero] = to_rgba(style.ZERO)
    pixels[broken] = to_rgba(style.NONFINITE)
    pixels[absent] = (0, 0, 0, 0)
    height, width = norms.shape
    ground = Rectangle((-0.5, -0.5), width, height, facecolor=style.ABSENT_FACE, hatch=style.HATCH, linewidth=0)
    ground.set_zorder(0)
    ax.add_patch(ground)
    ax.imshow(pixels, aspect="auto", interpolation="nearest", zorder=1)
    ax.spines[:].set_visible(False)
    if finite.size:
        form = FuncFormatter(lambda value, _: number(10**value))
        ticks = MaxNLocator(6, integer=True)
        bar = figure.colorbar(mapped, ax=ax, label="gradient norm", pad=0.06, aspect=24, format=form, ticks=ticks)
        bar.ax.set_ylim(low, high)
        bar.outline.set_visible(False)
    style.head(ax, words, style.state_patches(bool(absent.any()), bool(zero.any()), bool(broken.any())))
    return mapped


def _write_numbers(ax: Axes, norms: Matrix, mapped: ScalarMappable) -> None:
    for (row, column), norm in np.ndenumerate(norms):
        absent = norm == ABSENT
        words = "none" if absent else number(float(norm))
        colour = INK if absent or _is_bright(float(norm), mapped) else PAPER
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5} if absent else None
        ax.text(column, row, words, ha="center", va="center", color=colour, fontsize=8, bbox=box)


def _is_bright(norm: float, mapped: ScalarMappable) -> bool:
    """Whether dark text reads well on the colour of a norm."""
    if norm <= 0 or not math.isfinite(norm):
        return False
    red, green, blue, _ = mapped.to_rgba(np.array([math.log10(norm)]))[0]
    return bool(0.3 * red + 0.59 * green + 0.11 * blue > 0.5)
