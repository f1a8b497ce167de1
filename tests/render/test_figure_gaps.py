"""Where a figure knows nothing it says so: no line across it, no hatching that means absence, no name on another."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot

from gradscope.records import Backward, Passes, Tally
from gradscope.render import figures, figures_style
from gradscope.render.figures_kept import crosses, gaps_of, kept_of
from gradscope.report import Report
from tests.render.figure_builders import report_for_figures
from tests.render.test_figures import PLOTS, on_one_line, pixels

MIDDLE = range(60, 240)


def forgetful(every: int = 0) -> Report:
    """300 passes of which the middle was not kept, or every so many-th as a sample; `late` got its gradients there."""
    run = on_one_line(report_for_figures(("net", "late"), 4, 300, ("late",), strange=False)).run
    kept = tuple(e for e in run.events if e.step not in MIDDLE)
    late = set(run.models[1].parameters)
    tallies = {u: replace(t, backwards=180, norm_last=0.5) if u in late else t for u, t in run.tallies.items()}
    between = tuple(
        replace(e, norms={**e.norms, **dict.fromkeys(late, 0.5)})
        for e in run.backward_events
        if every and e.step in MIDDLE and not e.step % every
    )
    lines = (Passes(run.backward_events[0].location, 300, frozenset(run.parameters)),)
    return Report(replace(run, events=kept, between=between, lines=lines, tallies=tallies))


def legend(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def test_a_line_breaks_where_nothing_was_kept():
    ax = figures.plot_norms(forgetful()).axes[0]
    line = max(ax.lines, key=lambda line: len(line.get_xdata()))
    xs, ys = line.get_xdata(), line.get_ydata()
    joined = [(a, b) for (a, p), (b, q) in itertools.pairwise(zip(xs, ys, strict=True)) if np.isfinite([p, q]).all()]

    assert max(b - a for a, b in joined) == 1
    assert [p.get_path().get_extents(p.get_transform() - ax.transData).x0 for p in ax.patches] == pytest.approx([59.5])
    assert "not kept" in legend(ax)
    assert "late (not kept)" in legend(ax)
    assert ax.get_xlabel() == "backward pass\nnorms of 120 of 300 passes kept"


def test_a_sample_is_drawn_as_such():
    ax = figures.plot_norms(forgetful(every=6)).axes[0]

    assert "not kept" not in legend(ax)
    assert legend(ax) == ["net", "late"]
    assert ax.get_xlabel() == "backward pass\nnorms of 150 of 300 passes kept"


def test_a_column_of_which_nothing_was_kept_is_neither_absent_nor_data():
    ax = figures.plot_heatmap(forgetful()).axes[0]
    cells = pixels(ax)
    hatches = {(round(p.get_x() + 0.5), p.get_width()): p.get_hatch() for p in ax.patches}

    assert cells.shape == (8, 300, 4)  # at its place in time
    assert (cells[:4, :60, 3] == 1).all()
    assert (cells[:, 60:240, 3] == 0).all()
    assert hatches[0, 300] == figures_style.HATCH
    assert hatches[60, 180] == figures_style.UNKNOWN_HATCH
    assert set(legend(ax)) == {"no gradient", "not kept"}


def test_a_sample_fills_wider_columns():
    ax = figures.plot_heatmap(forgetful(every=6)).axes[0]
    cells = pixels(ax)

    assert len({column.tobytes() for column in cells.swapaxes(0, 1)}) < 100
    assert (cells[:4, :, 3] == 1).all()
    assert 0.5 < (cells[4:, :, 3] == 1).mean() < 0.7
    assert "median over 8 passes" in ax.get_xlabel()


def test_flow_counts_all_and_says_what_was_not_kept():
    report = forgetful()
    texts = [t.get_text() for t in figures.plot_flow(report).axes[0].texts]

    assert report.flow[0].count == 300
    assert texts[1] == "not kept"


def test_depth_knows_of_what_was_not_kept():
    ax = figures.plot_depth(forgetful()).axes[0]

    assert [p for p in ax.patches if p.get_hatch()] == []


def test_a_norm_that_was_not_measured_is_no_absence():
    run = on_one_line(report_for_figures(("net", "other"), 2, 12, (), strange=False)).run
    events = tuple(
        replace(e, norms=dict.fromkeys(e.norms)) if isinstance(e, Backward) and e.index % 3 else e for e in run.events
    )
    report = Report(replace(run, events=events))
    line = figures.plot_norms(report).axes[0].lines[0]

    assert list(line.get_xdata()) == [0, 3, 6, 9]
    assert np.isfinite(line.get_ydata()).all()
    assert "not kept" in legend(figures.plot_heatmap(report).axes[0])


@pytest.mark.parametrize(
    ("indexes", "total", "width"),
    [
        (range(100), 100, 1),
        (range(4800), 4800, 10),
        ([*range(50), *range(950, 1000)], 1000, 3),
        ([*range(100), *range(100, 900, 5), *range(900, 1000)], 1000, 6),
        ([], 10, 1),
    ],
)
def test_columns_are_as_wide_as_what_was_kept_can_fill(indexes, total, width):
    assert kept_of(list(indexes), total).width == width


def test_gaps_of_samples():
    assert gaps_of([0, 1, 2, 50, 100, 150, 200]) == []
    assert gaps_of([0, 50, 100, 150, 900, 950, 1000]) == [(151, 900)]
    assert gaps_of([]) == []
    assert gaps_of([0, 1, 25]) == []
    assert gaps_of(range(100), 101) == []
    assert gaps_of(range(100), 200) == [(100, 200)]


@pytest.mark.parametrize("sampled", [(0, 1, 2), (0, 1, 2, 50, 100, 150, 200, 250)])
def test_updates_that_were_sampled_stand_in_the_whole_run(sampled):
    run = report_for_figures(("net", "other"), 2, 300, (), strange=False).run
    events = tuple(e for e in run.events if isinstance(e, Backward) or e.step in sampled)
    ax = figures.plot_updates(Report(replace(run, events=events))).axes[0]
    line = next(line for line in ax.lines if line.get_marker() == "o")
    left, right = ax.get_xlim()

    assert left < 0
    assert 299 < right < 330
    assert ax.get_xlabel() == f"step (compared at {len(sampled)} of 300 steps)"
    assert list(line.get_xdata()) == list(sampled)


def test_updates_of_every_step_need_no_note():
    ax = figures.plot_updates(report_for_figures(("net", "other"), 2, 12, (), strange=False)).axes[0]

    assert ax.get_xlabel() == "step"


def dotted(ax):
    """From and to of the bands over what is not known, in steps."""
    found = [p for p in ax.patches if p.get_hatch() == figures_style.UNKNOWN_HATCH]
    return [(round(p.get_x() + 0.5), round(p.get_x() + p.get_width() + 0.5)) for p in found]


@pytest.mark.parametrize(
    ("total", "compared", "bands"),
    [
        (40, (0, 1, 2), [(3, 40)]),
        (20, (0, 1, 2, 9), [(3, 9), (10, 20)]),
        (99, (0, 1, 2, 50, 51, 90), [(3, 50), (52, 90), (91, 99)]),
        (300, (0, *range(49, 300, 50)), [(1, 299)]),  # a step alone is narrower than can be seen
        (12, range(12), []),
    ],
)
def test_wherever_steps_were_not_compared_it_is_said(total, compared, bands):
    run = report_for_figures(("net", "other"), 2, total, (), strange=False).run
    events = tuple(e if isinstance(e, Backward) or e.step in compared else replace(e, ratios={}) for e in run.events)
    ax = figures.plot_updates(Report(replace(run, events=events))).axes[0]
    line = next(line for line in ax.lines if line.get_marker() == "o")
    points = [(x, y) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    joined = [(a, b) for (a, p), (b, q) in itertools.pairwise(points) if np.isfinite([p, q]).all()]

    assert dotted(ax) == bands
    assert ("not compared" in legend(ax)) == bool(bands)
    assert all(b - a == 1 for a, b in joined)
    assert [x for x, y in points if np.isfinite(y)] == list(compared)


def test_steps_of_the_loop_at_which_no_optimizer_stepped_are_not_missing():
    run = report_for_figures(("net", "other"), 2, 40, (), strange=False).run
    events = tuple(e for e in run.events if isinstance(e, Backward) or not e.step % 4)
    ax = figures.plot_updates(Report(replace(run, events=events))).axes[0]

    assert dotted(ax) == []
    assert "not compared" not in legend(ax)


def test_a_line_crosses_a_hole_only_where_it_leads_over_it():
    holes = [(10, 20), (40, 41)]

    assert crosses(holes, 9, 20)
    assert crosses(holes, 9, 41)
    assert crosses(holes, 39, 41)
    assert not crosses(holes, 8, 9)
    assert not crosses(holes, 20, 40)
    assert not crosses(holes, 41, 50)
    assert not crosses([], 0, 50)


def test_the_band_of_many_models_breaks_where_nothing_was_kept():
    names = tuple(f"expert_{i}" for i in range(12))
    run = on_one_line(report_for_figures(names, 2, 300, (), strange=False)).run
    kept = tuple(e for e in run.events if e.step not in MIDDLE)
    ax = figures.plot_norms(Report(replace(run, events=kept))).axes[0]
    (line,) = ax.lines
    broken = [x for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True) if np.isnan(y)]

    assert broken == [240]


def test_many_models_are_a_band_and_those_that_are_not_well_are_named():
    names = tuple(f"expert_{i}" for i in range(30))
    base = report_for_figures(names, 2, 20, names[3:7], strange=False)
    tallies = {u: replace(t, measured=20) if t.backwards else Tally(steps=20) for u, t in base.run.tallies.items()}
    words = legend(figures.plot_norms(Report(replace(base.run, tallies=tallies))).axes[0])

    assert [f"expert_{i} (no gradient)" for i in range(3, 7)] == [word for word in words if "no gradient" in word]
    assert any(word.startswith("26 flowing models") for word in words)


@pytest.mark.parametrize("zone", ["alone", "given", "dark"])
@pytest.mark.parametrize(
    "names", [("text_encoder", "vision_backbone", "temperature"), tuple(f"expert_{i:02}" for i in range(30))]
)
@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
def test_no_text_lies_on_another(plot, names, zone):
    report = report_for_figures(names, 2, 12, names[1:2])
    with pyplot.style.context("dark_background" if zone == "dark" else "default"):
        if zone == "alone":
            figure = plot(report)
        else:
            figure = pyplot.figure(figsize=(15, 8), layout="constrained")
            plot(report, ax=figure.subplots(2, 3).flat[4])
        figure.draw_without_rendering()
        for ax in figure.axes:
            legends = ax.get_legend().get_texts() if ax.get_legend() else []
            loose = [*ax.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, *legends]
            boxes = [(t.get_text(), corners(t)) for t in loose if t.get_text().strip() and t.get_visible()]
            for (one, a), (other, b) in itertools.combinations(boxes, 2):
                assert apart(a, b), (one, other)
        pyplot.close(figure)


def corners(text):
    """The four corners of a text as it stands, slanted or not."""
    angle = text.get_rotation()
    if angle % 90 == 0:
        box = text.get_window_extent()
        return np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)])
    text.set_rotation(0)
    box, wanted = text.get_window_extent(), np.radians(angle)
    text.set_rotation(angle)
    whole = text.get_window_extent()
    along, up = np.array([np.cos(wanted), np.sin(wanted)]), np.array([-np.sin(wanted), np.cos(wanted)])
    middle = np.array([(whole.x0 + whole.x1) / 2, (whole.y0 + whole.y1) / 2])
    return np.array([middle + i * along * box.width / 2 + j * up * box.height / 2 for i, j in SQUARE])


SQUARE = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def apart(a, b) -> bool:
    """Whether a line can be drawn between two convex quadrilaterals, give or take a pixel and a half."""
    for shape in (a, b):
        for p, q in zip(shape, np.roll(shape, 1, axis=0), strict=True):
            normal = np.array([q[1] - p[1], p[0] - q[0]])
            normal = normal / (np.linalg.norm(normal) or 1)
            one, other = a @ normal, b @ normal
            if min(one.max(), other.max()) - max(one.min(), other.min()) < 1.5:
                return True
    return False
