"""Figures over time: gradient norm per backward pass, update ratio per optimizer step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradscope.render import figures_style as style
from gradscope.render.palette import DEAD, MODEL_COLOURS, TEXT, model_colour, tint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from gradscope.report import Report

HEALTHY_RATIO = (3e-4, 3e-3)
"""Around 1e-3: the rule of thumb of Karpathy's lecture notes (CS231n, "Ratio of weights:updates")."""
MAX_MARKED = 150

Series = Sequence[tuple[int, float | None]]
"""x and value; None is a gap."""


@style.styled
def plot_norms(report: Report, ax: Axes | None = None) -> Figure:
    """Gradient norm of each model over the backward passes; a gap where it received nothing."""
    run = report.run
    events = run.backward_events
    lines: list[tuple[str, Series]] = []
    for model in run.models:
        values = [_norm([e.norms[u] for u in model.parameters if u in e.norms]) for e in events]
        lines.append((model.name, [(e.index, v) for e, v in zip(events, values, strict=True)]))
    figure, ax = style.axes_of(ax, 8.0, 4.0)
    handles = _draw(ax, lines, "no gradient", "No gradient was measured.")
    _dress(ax, "backward pass", "gradient norm (2-norm)")
    style.head(ax, "Gradient norm of each model", handles)
    return figure


@style.styled
def plot_updates(report: Report, ax: Axes | None = None) -> Figure:
    """Update ratio of each model over the steps, with the usual range as a band."""
    run = report.run
    lines: list[tuple[str, Series]] = []
    for model in run.models:
        members = set(model.parameters)
        found = ((e.step, sorted(r for u, r in e.ratios.items() if u in members)) for e in run.step_events)
        lines.append((model.name, [(step, ratios[len(ratios) // 2]) for step, ratios in found if ratios]))
    figure, ax = style.axes_of(ax, 8.0, 4.0)
    if any(series for _, series in lines):
        ax.axhspan(*HEALTHY_RATIO, color=tint(DEAD, 0.22), linewidth=0, zorder=0)
        ax.axhline(1e-3, color=DEAD, linewidth=0.8, linestyle=":", zorder=0)
    handles = _draw(ax, lines, "not sampled", "No update was sampled.")
    _dress(ax, "step", "norm of update / norm of weight (median)")
    style.head(ax, "Size of the updates", handles)
    if ax.axison:
        across = ax.get_yaxis_transform()
        ax.text(0.995, HEALTHY_RATIO[1], "usual", ha="right", va="top", color=TEXT, fontsize=7, transform=across)
    return figure


def _norm(norms: list[float | None]) -> float | None:
    measured = [norm for norm in norms if norm is not None]
    return math.hypot(*measured) if measured else None


def _draw(ax: Axes, lines: Sequence[tuple[str, Series]], missing: str, empty: str) -> list[Line2D]:
    """Lines on a log axis; zeros as marks at the bottom, NaN and Inf at the top."""
    from matplotlib.lines import Line2D

    if not any(value is not None for _, series in lines for _, value in series):
        style.nothing(ax, empty)
        return []
    handles: list[Line2D] = []
    edges: dict[str, bool] = {}
    for index, (name, series) in enumerate(lines):
        looks: dict[str, Any] = {
            "color": model_colour(index),
            "linestyle": ("-", "--", ":")[index // len(MODEL_COLOURS) % 3],
        }
        xs, ys = [x for x, _ in series], [_drawable(value) for _, value in series]
        marker = "o" if len(xs) <= MAX_MARKED else "."
        ax.plot(xs, ys, marker=marker, markersize=3.5 if marker == "o" else 2, linewidth=1.3, **looks)
        for label, height, symbol, hits in _edges(series):
            edges[label] = True
            ax.plot(
                hits,
                [height] * len(hits),
                symbol,
                color=looks["color"],
                markersize=5,
                clip_on=False,
                transform=ax.get_xaxis_transform(),
            )
        present = any(value is not None for _, value in series)
        words = style.name(name, 24) + ("" if present else f" ({missing})")
        handles.append(Line2D([], [], label=words, marker="o" if present else "", markersize=3.5, **looks))
    for label, symbol in (("zero", "v"), ("NaN or Inf", "x")):
        if label in edges:
            handles.append(Line2D([], [], linestyle="", marker=symbol, color=TEXT, label=label))
    style.log_scale(ax)
    return handles


def _edges(series: Series) -> list[tuple[str, float, str, list[int]]]:
    zero = [x for x, value in series if value == 0]
    broken = [x for x, value in series if value is not None and not math.isfinite(value)]
    return [hit for hit in (("zero", 0.015, "v", zero), ("NaN or Inf", 0.985, "x", broken)) if hit[3]]


def _drawable(value: float | None) -> float:
    return value if value is not None and value > 0 and math.isfinite(value) else math.nan


def _dress(ax: Axes, below: str, beside: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel(below)
    ax.set_ylabel(beside)
    ax.grid(axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
