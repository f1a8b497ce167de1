"""Gradient norm along the depth of each model: the forum's `plot_grad_flow`, with absence told apart from zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradscope.render import figures_style as style
from gradscope.render.palette import CUT, DEAD, PAPER, model_colour, shade

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gradscope.records import Run
    from gradscope.report import Report


@style.styled
def plot_depth(report: Report, ax: Axes | None = None) -> Figure:
    """Bars of the last gradient norm of each parameter, model by model; an x on hatching where there was none."""
    rows = style.owners(report.run)
    figure, ax = style.axes_of(ax, min(max(6.0, 1.5 + 0.14 * len(rows)), 15.0), 4.8)
    if not rows:
        style.nothing(ax, "No parameter was seen.")
        return figure
    norms = [_last_norm(report.run, uid) for uid, _, _ in rows]
    sizes = [norm for norm in norms if norm and math.isfinite(norm)]
    bottom, top = (min(sizes) / 4, max(sizes) * 2) if sizes else (1e-3, 1.0)
    ax.set_ylim(bottom, top)
    style.log_scale(ax)
    bottom = ax.get_ylim()[0]
    for model, start, end in style.boundaries(rows):
        _draw_model(ax, [(i, norms[i]) for i in range(start, end)], model, bottom)
        _name_model(ax, report.run.models[model].name, model, start, end, len(rows))
    _mark_absent(ax, [i for i, (uid, _, _) in enumerate(rows) if _absent(report.run, uid)], len(rows))
    shown = style.thin(len(rows))
    ax.set_xticks(shown, [style.name(rows[i][1], 30) for i in shown], rotation=90, fontsize=7)
    ax.set_xlim(-0.7, len(rows) - 0.3)
    ax.set_xlabel("parameter, from input to output")
    ax.set_ylabel("gradient norm (last received)")
    ax.grid(axis="y")
    states = style.state_patches(
        any(_absent(report.run, uid) for uid, _, _ in rows),
        any(norm == 0 for norm in norms),
        any(norm is not None and not math.isfinite(norm) for norm in norms),
    )
    style.head(ax, "Gradient along the depth of each model", states)
    return figure


def _last_norm(run: Run, uid: int) -> float | None:
    """Of the events that were kept, else of the tally, which forgets nothing."""
    for event in reversed(run.backward_events):
        norm = event.norms.get(uid)
        if norm is not None:
            return norm
    tally = run.tallies.get(uid)
    return tally.norm_last if tally else None


def _absent(run: Run, uid: int) -> bool:
    tally = run.tallies.get(uid)
    return not any(uid in event.norms for event in run.backward_events) and not (tally and tally.backwards)


def _draw_model(ax: Axes, norms: list[tuple[int, float | None]], model: int, bottom: float) -> None:
    """The bars; zero and non-finite norms are stubs and full bars in their own colours."""
    finite = [(i, norm) for i, norm in norms if norm and math.isfinite(norm)]
    ax.bar([i for i, _ in finite], [n - bottom for _, n in finite], 0.8, bottom=bottom, color=model_colour(model))
    across = ax.get_xaxis_transform()
    zero = [i for i, norm in norms if norm == 0]
    broken = [i for i, norm in norms if norm is not None and not math.isfinite(norm)]
    ax.bar(zero, 0.04, 0.8, facecolor=style.ZERO, edgecolor=DEAD, linewidth=0.8, transform=across)
    ax.bar(broken, 1.0, 0.8, color=style.NONFINITE, transform=across)


def _mark_absent(ax: Axes, positions: list[int], total: int) -> None:
    across = ax.get_xaxis_transform()
    ax.bar(
        positions,
        1.0,
        1.0,
        facecolor=style.ABSENT_FACE,
        edgecolor=DEAD,
        hatch=style.HATCH,
        linewidth=0,
        transform=across,
        zorder=0.5,
    )
    size = 5 if total <= 80 else 2.5
    ax.plot(positions, [0.03] * len(positions), "x", color=CUT, markersize=size, transform=across, zorder=3)


def _name_model(ax: Axes, words: str, model: int, start: int, end: int, total: int) -> None:
    if start:
        ax.axvline(start - 0.5, color=DEAD, linewidth=0.8)
    most = max(4, int(90 * (end - start) / total))
    ax.text(
        (start + end - 1) / 2,
        0.97,
        style.name(words, min(most, 24)),
        ha="center",
        va="top",
        weight="bold",
        color=shade(model_colour(model), 0.75),
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        transform=ax.get_xaxis_transform(),
    )
