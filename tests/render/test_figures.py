"""Figures tell absence from zero, stay readable at any size, and leave nothing behind."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch

from gradscope.errors import GradscopeError
from gradscope.records import Backward, Histogram, Location, OptimizerStep, Owner, Run, Tally
from gradscope.render import figures, figures_style
from gradscope.render.figures_histogram import _collect
from gradscope.report import Report
from tests.render.conftest import HOSTILE
from tests.render.figure_builders import LOSS_LINE, report_for_figures

PLOTS = [getattr(figures, name) for name in figures.__all__]
plots = pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
SIZES = {"tiny": (("net",), 1, 1, (), False), "usual": (), "large": (("a", "b", "c", "d"), 125, 60)}


def pixels(ax):
    """The matrix of colours, and a cell's state from its colour."""
    return ax.images[0].get_array()


def on_one_line(report):
    """The same passes, all called by one line."""
    events = tuple(replace(e, path=(LOSS_LINE,)) if isinstance(e, Backward) else e for e in report.run.events)
    return Report(replace(report.run, events=events))


@plots
@pytest.mark.parametrize("size", SIZES)
def test_every_size_can_be_drawn(plot, size, tmp_path):
    figure = plot(report_for_figures(*SIZES[size]))
    figure.savefig(tmp_path / "figure.png", dpi=50)

    assert figure.axes
    assert all(ax.get_title(loc="left") for ax in figure.axes if ax.axison and ax.get_label() != "<colorbar>")


@plots
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_the_largest_number_there_is_can_be_drawn(plot, tmp_path):
    run = report_for_figures(*SIZES["tiny"]).run
    events = [replace(e, norms=dict.fromkeys(e.norms, 1.7e308)) if isinstance(e, Backward) else e for e in run.events]
    plot(Report(replace(run, events=tuple(events)))).savefig(tmp_path / "figure.png", dpi=50)

    assert (tmp_path / "figure.png").exists()


@plots
def test_no_facts_are_said(plot):
    figure = plot(Report(Run()))

    assert next(t.get_text() for t in figure.axes[0].texts).startswith(("No ", "no "))


@plots
def test_labels_do_not_overlap(plot):
    """At 500 parameters as at 5: neighbouring tick labels have room of their own."""
    for size in (SIZES["tiny"], SIZES["large"]):
        figure = plot(report_for_figures(*size))
        figure.draw_without_rendering()
        for ax in figure.axes:
            for axis in (ax.xaxis, ax.yaxis):
                shown = [t for t in axis.get_ticklabels() if t.get_visible() and t.get_text()]
                boxes = sorted((t.get_window_extent() for t in shown), key=lambda b: (b.x0 + b.x1, b.y0 + b.y1))
                for one, other in itertools.pairwise(boxes):
                    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
                    high = min(one.y1, other.y1) - max(one.y0, other.y0)
                    assert min(wide, high) < 1.5


def test_absence_is_a_gap_in_the_norms():
    ax = figures.plot_norms(on_one_line(report_for_figures())).axes[0]
    decoder, critic = [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == 12]

    looks = dict(zip([t.get_text() for t in ax.get_legend().get_texts()], ax.get_legend().legend_handles, strict=True))
    assert not isinstance(absent := looks["encoder (no gradient)"], Line2D) or absent.get_linestyle() == "None"
    assert looks["decoder"].get_linestyle() == "-"
    assert np.isfinite(decoder).all()
    assert [i for i, y in enumerate(critic) if np.isfinite(y)] == [0, 3, 9]  # NaN at 6, absent elsewhere
    assert not (np.nan_to_num(critic, nan=1) == 0).any()


def test_zero_norm_is_a_mark_at_the_bottom_not_a_point():
    base = report_for_figures(("a", "b"), 1, 4, (), strange=False).run
    last = base.models[-1].parameters[0]
    events = tuple(replace(e, norms={**e.norms, last: 0.0}) for e in base.backward_events)
    ax = figures.plot_norms(on_one_line(Report(replace(base, events=events)))).axes[0]
    (marks,) = [line for line in ax.lines if line.get_marker() == "v"]

    assert list(marks.get_xdata()) == [0, 1, 2, 3]
    assert np.isnan(ax.lines[1].get_ydata()).all()
    assert "exactly zero" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_norms_are_those_of_the_events():
    report = on_one_line(report_for_figures(strange=False))
    lines = figures.plot_norms(report).axes[0].lines
    line = next(x for x in lines if len(x.get_ydata()) and np.isfinite(x.get_ydata()).all())
    norms = report.run.backward_events[5].norms
    expected = sum(norms[u] ** 2 for u in report.run.models[1].parameters) ** 0.5

    assert line.get_ydata()[5] == pytest.approx(expected)


def test_heatmap_cells_absent_zero_and_nan_have_their_own_look():
    ax = figures.plot_heatmap(report_for_figures()).axes[0]
    cells = pixels(ax)

    assert cells.shape == (12, 12, 4)
    assert (cells[:4, :, 3] == 0).all()  # the encoder: the hatched ground shows
    assert (cells[4:8, :, 3] == 1).all()
    assert to_hex(cells[8, 0]) == figures_style.ZERO.lower()
    assert to_hex(cells[11, 6]) == figures_style.NONFINITE.lower()
    assert {p.get_hatch() for p in ax.patches} == {figures_style.HATCH, figures_style.NONFINITE_LOOKS["hatch"]}
    assert {t.get_text() for t in ax.get_legend().get_texts()} == {"no gradient", "exactly zero", "NaN or Inf"}


def test_depth_has_no_scale_where_no_norm_has_a_size():
    report = report_for_figures(strange=False)
    spoilt = {u: replace(t, norm_last=math.nan) for u, t in report.run.tallies.items()}
    broken = Report(replace(report.run, tallies=spoilt, events=()))

    assert len(figures.plot_depth(report).axes[0].get_yticks())
    assert not len(figures.plot_depth(broken).axes[0].get_yticks())


def test_heatmap_hides_no_row_of_a_small_model_among_many_parameters():
    report = report_for_figures(("a", "b", "c"), 250, 4, dead=("b",), strange=False)
    a, b, c = report.run.models
    small = replace(b, parameters=b.parameters[:2])
    figure = figures.plot_heatmap(Report(replace(report.run, models=(a, small, c))))
    figure.set_dpi(200)
    FigureCanvasAgg(figure).draw()
    ax, rows = figure.axes[0], len(a.parameters) + 2
    image = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3]
    box = ax.get_window_extent()
    middle = box.y1 - (rows - 1) / (rows + len(c.parameters)) * box.height
    strip = image[round(middle) - 1 : round(middle) + 2, round(box.x0) + 9 : round(box.x1) - 9]

    assert (strip.min(axis=2) < 200).any(), "the hatching shows"
    assert not [line for line in ax.lines if list(line.get_xdata()) == [0, 1]]


def test_flow_names_lines_and_models():
    ax = figures.plot_flow(report_for_figures(strange=False)).axes[0]

    assert [t.get_text() for t in ax.get_xticklabels()] == ["encoder", "decoder", "critic"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["train.py:57  x4", "train.py:50  x8"]
    assert (pixels(ax)[:, :, 3] == [[0, 1, 1], [0, 1, 0]]).all()
    assert [t.get_text() for t in ax.texts].count("none") == 3


def test_depth_marks_absence_and_does_not_draw_it_as_a_bar():
    ax = figures.plot_depth(report_for_figures()).axes[0]
    (crosses,) = [line for line in ax.lines if line.get_marker() == "x"]
    hatched = [p for p in ax.patches if p.get_hatch()]
    bars = [p for p in ax.patches if not p.get_hatch() and to_hex(p.get_facecolor()) == "#009e73"]

    assert list(crosses.get_xdata()) == [0, 1, 2, 3]
    assert [(p.get_x(), p.get_width()) for p in hatched] == [(-0.5, 4)]
    assert len(bars) == 4
    assert ax.get_yscale() == "log"


def test_depth_tells_frozen_from_cut_and_explains_the_cross():
    run = report_for_figures().run
    parameters = {u: replace(p, trainable=u > 1) for u, p in run.parameters.items()}
    tallies = {u: t if t.backwards else Tally() for u, t in run.tallies.items()}
    ax = figures.plot_depth(Report(replace(run, parameters=parameters, tallies=tallies))).axes[0]
    (crosses,) = [line for line in ax.lines if line.get_marker() == "x"]
    hatched = [(p.get_x(), p.get_width()) for p in ax.patches if p.get_hatch()]
    legend = ax.get_legend()

    assert [t.get_text() for t in legend.get_texts()] == ["frozen", "no gradient", "exactly zero"]
    assert list(crosses.get_xdata()) == [2, 3]
    assert hatched == [(1.5, 2)]
    assert (-0.5, 2) in [(p.get_x(), p.get_width()) for p in ax.patches if not p.get_hatch()]
    assert "x" in [line.get_marker() for line in legend.findobj(Line2D)]


def test_a_frozen_model_is_said_to_be_frozen():
    run = report_for_figures().run
    parameters = {u: replace(p, trainable=u > 3) for u, p in run.parameters.items()}
    tallies = {u: t if t.backwards else Tally() for u, t in run.tallies.items()}
    report = Report(replace(run, parameters=parameters, tallies=tallies))

    for plot in (figures.plot_norms, figures.plot_updates):
        assert "encoder (frozen)" in [t.get_text() for t in plot(report).axes[0].get_legend().get_texts()]
    assert [t.get_text() for t in figures.plot_histograms(report).axes[0].texts] == ["frozen"]
    for plot in (figures.plot_flow, figures.plot_heatmap):
        assert "frozen" in [t.get_text() for t in plot(report).axes[0].get_legend().get_texts()]
    assert "frozen" in [t.get_text() for t in figures.plot_flow(report).axes[0].texts]


def test_depth_falls_back_to_tallies_when_events_were_dropped():
    run = report_for_figures(strange=False).run
    tallies = {u: replace(t, norm_last=0.5 if t.backwards else None) for u, t in run.tallies.items()}
    ax = figures.plot_depth(Report(replace(run, events=(), tallies=tallies))).axes[0]
    tops = [p.get_y() + p.get_height() for p in ax.patches if to_hex(p.get_facecolor()) == "#009e73"]

    assert tops == pytest.approx([0.5] * 4)


def test_histogram_adds_up_and_keeps_zeros_and_nan_apart():
    report = report_for_figures()
    last = report.run.models[-1]
    entries = _collect([h for h in report.run.histograms if h.uid in last.parameters])
    of_step = [h for h in report.run.histograms if h.uid in last.parameters and h.step == 11]

    assert entries.step == 11
    assert entries.total == sum(sum(h.negative) + sum(h.positive) + h.zeros + h.nan + h.inf for h in of_step)
    assert (entries.nan, entries.inf) == (48, 12)
    assert entries.positive[-8] == sum(h.positive[-8 - h.low] for h in of_step)

    ax = figures.plot_histograms(report, model=last.name).axes[0]
    heights = Counter(round(p.get_height()) for p in ax.patches if isinstance(p, Rectangle))
    assert {48, 12, entries.zeros} <= set(heights)
    assert {"NaN", "Inf", "0"} <= {t.get_text() for t in ax.get_xticklabels()}


@pytest.mark.parametrize("decades", [3, 40, 90])
def test_bars_of_many_decades_are_no_hairlines_and_lose_no_entry(decades):
    counts = tuple(range(1, round(decades * 3.4)))
    run = report_for_figures(strange=False).run
    wide = Histogram(run.models[0].parameters[0], 3, -len(counts), counts, ())
    ax = drawn(figures.plot_histograms(Report(replace(run, models=run.models[:1], histograms=(wide,)))))
    (bars,) = [p for p in ax.patches if isinstance(p, StepPatch)]
    heights, edges, _ = bars.get_data()
    inches = ax.transData.transform([(edge, 1) for edge in edges])[:, 0] / ax.figure.dpi

    assert sum(heights) == sum(counts)
    assert abs(inches[1] - inches[0]) > 0.04
    assert ax.get_xlim()[0] <= min(edges)
    factor = re.search(r"each bar is a factor of (\d+)", " ".join(t.get_text() for t in ax.texts).replace("\n", " "))
    assert (2 ** abs(edges[1] - edges[0]) == int(factor[1])) if decades > 3 else factor is None


def test_histogram_ticks_stand_at_their_values():
    """2**e is the lower edge of the bar of e, mirrored for the negative side."""
    ax = figures.plot_histograms(report_for_figures(strange=False), model="decoder").axes[0]
    place = {t.get_text(): t.get_position()[0] for t in ax.get_xticklabels()}
    edges = [edge for p in ax.patches if isinstance(p, StepPatch) for edge in p.get_data().edges]
    low = min(h.low for h in report_for_figures().run.histograms if h.uid in (4, 5, 6, 7))

    assert place["0.1"] == pytest.approx(np.log2(0.1) - low + 1.5)
    assert place["-0.1"] == -place["0.1"]
    assert min(map(abs, edges)) == 1.5


def test_a_histogram_says_what_of_the_model_is_missing():
    base = report_for_figures(strange=False).run
    dead, frozen, later = base.models[1].parameters[1:]
    tallies = base.tallies | {dead: Tally(steps=12), frozen: Tally()}
    parameters = base.parameters | {frozen: replace(base.parameters[frozen], trainable=False)}
    lost = {dead, frozen}
    events = tuple(
        replace(e, norms={u: n for u, n in e.norms.items() if u not in lost}) if isinstance(e, Backward) else e
        for e in base.events
    )
    run = replace(base, tallies=tallies, parameters=parameters, events=events)
    run = replace(run, histograms=tuple(h for h in run.histograms if h.uid not in {*lost, later}))
    words = " ".join(t.get_text() for t in figures.plot_histograms(Report(run), model="decoder").axes[0].texts)

    assert re.match(r"[\d,]+ entries of 1 parameter at step 11; ", words)
    assert words.replace("\n", " ").endswith("1 without gradient, 1 frozen, 1 not counted then")


def test_a_histogram_names_its_line_only_where_that_is_known():
    """Of two lines one left this gradient; of a parameter that both reach nobody kept which."""
    run = report_for_figures(strange=False).run
    apart = tuple(
        replace(e, norms={u: n for u, n in e.norms.items() if (u in run.models[2].parameters) == (e.step % 3 == 0)})
        if isinstance(e, Backward)
        else e
        for e in run.events
    )
    for events, known in ((apart, True), (run.events, False)):
        ax = figures.plot_histograms(Report(replace(run, events=events)), model="decoder").axes[0]
        assert ("left by train.py:50" in " ".join(t.get_text() for t in ax.texts).replace("\n", " ")) == known


@pytest.mark.parametrize(("asked", "panels"), [("decoder.", 4), ("decoder", 4), ("decoder.layers.1.", 2)])
def test_the_beginning_of_names_may_end_in_a_dot(asked, panels):
    assert len(figures.plot_histograms(report_for_figures(), parameter=asked).axes) == panels


def test_dead_model_has_a_hatched_panel():
    figure = figures.plot_histograms(report_for_figures())

    assert [t.get_text() for t in figure.axes[0].texts] == ["no gradient"]
    with pytest.raises(GradscopeError, match="no model 'x'; there are: encoder, decoder, critic"):
        figures.plot_histograms(report_for_figures(), model="x")


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    return figure.axes[0]


def test_names_of_nan_and_inf_have_room():
    wide = Histogram(0, 11, -140, (1,) * 140, (1,) * 140, zeros=3, nan=1, inf=2)
    run = report_for_figures().run
    ax = drawn(figures.plot_histograms(Report(replace(run, models=run.models[:1], histograms=(wide,)))))
    boxes = [t.get_window_extent() for t in ax.get_xticklabels()]

    assert [t.get_text() for t in ax.get_xticklabels()][-2:] == ["NaN", "Inf"]
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


def test_the_name_of_a_narrow_first_model_is_not_over_the_numbers():
    report = report_for_figures(("a long name of one", "b"), 200, 4, dead=())
    first, second = report.run.models
    small = replace(first, parameters=first.parameters[:2])
    ax = drawn(figures.plot_depth(Report(replace(report.run, models=(small, second)))))
    (box,) = (t.get_window_extent() for t in ax.texts if t.get_text() == "a long name of one")

    assert box.x0 >= ax.get_window_extent().x0 - 1


def test_names_do_not_meet_when_a_layout_shrinks_the_axes_afterwards():
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, 3)
    report = report_for_figures(("generator_network", "critic_network"), 36, 4, dead=())
    for ax, plot in zip(axes.flat, (figures.plot_norms, figures.plot_depth, figures.plot_heatmap), strict=False):
        plot(report, ax=ax)
    drawn(figure)
    names = [t for t in axes[0, 1].texts if t.get_text() in ("generator_network", "critic_network")]
    first, second = (t.get_window_extent() for t in names)

    assert first.x1 < second.x0 or names[0].get_rotation() == names[1].get_rotation() != 0


@plots
def test_an_empty_figure_has_its_title(plot):
    if plot is not figures.plot_histograms:
        assert plot(Report(Run())).axes[0].get_title(loc="left")


def test_updates_show_the_usual_band():
    ax = figures.plot_updates(report_for_figures()).axes[0]

    assert any(p.get_path().get_extents(p.get_transform() - ax.transData).y0 == pytest.approx(3e-4) for p in ax.patches)
    assert "encoder (no gradient)" in [t.get_text() for t in ax.get_legend().get_texts()]


@plots
def test_given_axes_are_used_and_the_style_of_the_user_is_kept(plot):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    before = dict(mpl.rcParams)

    assert plot(report_for_figures(), ax=left) is figure
    assert left.has_data() or left.texts
    assert not right.has_data()
    assert dict(mpl.rcParams) == before


@plots
@pytest.mark.parametrize("wrong", [3, "left", [1, 2], np.array([None, None]), Figure()], ids=lambda w: type(w).__name__)
def test_what_is_no_axes_is_said(plot, wrong):
    with pytest.raises(GradscopeError, match=f"`ax` must be one matplotlib Axes .* '{type(wrong).__name__}'"):
        plot(report_for_figures(), ax=wrong)


@plots
def test_removed_axes_are_said(plot):
    ax = Figure().subplots()
    ax.remove()

    with pytest.raises(GradscopeError, match="removed from its figure"):
        plot(report_for_figures(), ax=ax)


@plots
def test_the_grid_of_given_axes_lies_below_the_bars(plot):
    ax = Figure().subplots()
    plot(report_for_figures(("net",), 4, 4, (), strange=False), ax=ax)

    assert max(ax.xaxis.get_zorder(), ax.yaxis.get_zorder()) < 1  # where bars and images are drawn


@plots
def test_dark_style_of_the_user_does_not_reach_our_page(plot):
    with mpl.rc_context({"text.color": "white", "axes.facecolor": "black", "xtick.color": "white"}):
        figure = plot(report_for_figures())
        figure.draw_without_rendering()

    assert figure.get_facecolor()[:3] == (1, 1, 1)
    for ax in figure.axes:
        assert all(to_hex(t.get_color()) != "#ffffff" for t in ax.get_xticklabels())


@plots
def test_hostile_names_are_only_text(plot, tmp_path):
    """No formula, no missing glyph (a warning would fail here), no excluded legend label."""
    names = [f"_{name}$x_{{${i}" for i, name in enumerate(HOSTILE.values())]
    base = report_for_figures(tuple(names), 2, 3, (names[0],)).run
    parameters = {
        u: replace(p, owners=tuple(Owner(o.model, f"{o.model}^${o.fqn}") for o in p.owners))
        for u, p in base.parameters.items()
    }
    events = tuple(replace(e, path=(Location(names[e.index % 2], 1),)) for e in base.backward_events)
    figure = plot(Report(replace(base, parameters=parameters, events=events + tuple(base.step_events))))

    figure.savefig(tmp_path / "figure.svg")
    figure.savefig(tmp_path / "figure.png", dpi=40)


def test_picture_without_pyplot_and_nothing_left_behind():
    code = """
import sys
from tests.render.conftest import HOSTILE
from tests.render.figure_builders import LOSS_LINE, report_for_figures
from gradscope.render import figures
assert "matplotlib" not in sys.modules
figure = figures.plot_norms(report_for_figures())
assert figure._repr_png_().startswith(b"\\x89PNG")
assert "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@plots
def test_same_facts_same_picture(plot, tmp_path):
    with mpl.rc_context({"svg.hashsalt": "x", "svg.fonttype": "none"}):
        for name in ("a", "b"):
            plot(report_for_figures()).savefig(tmp_path / name, format="svg", metadata={"Date": None})

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"<text" in (tmp_path / "a").read_bytes()


def test_frozen_rows_beside_each_other_are_one_patch_and_no_pixels():
    report = report_for_figures(("backbone", "head"), 30, 4, dead=("backbone",), strange=False)
    frozen = {u: replace(p, trainable=False) if u < 30 else p for u, p in report.run.parameters.items()}
    tallies = {u: Tally() if u < 30 else t for u, t in report.run.tallies.items()}
    ax = figures.plot_heatmap(Report(replace(report.run, parameters=frozen, tallies=tallies))).axes[0]
    ground = mpl.colors.to_rgba(figures_style.look(ax).ground)
    patches = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_facecolor() == ground and not p.get_hatch()]
    pixels = ax.images[0].get_array()

    assert [(p.get_y(), p.get_height(), p.get_width()) for p in patches] == [(-0.5, 30, 4)]
    assert not pixels[:30, :, 3].any()
    assert pixels[-1, :, 3].any()


def test_slanted_names_stand_over_their_own_bars():
    names = ("router", *(f"expert_with_a_very_long_name_{i:02d}" for i in range(20)))
    report = report_for_figures(names, 2, 4, dead=("router",), strange=False)
    ax = drawn(figures.plot_depth(report))
    places = [t.xy[0] for t in ax.texts if t.get_text() and t.get_visible() and t.get_rotation()]

    assert places == [2 * i + 0.5 for i in range(21)]


@pytest.mark.parametrize("layout", [None, "tight", "constrained"])
def test_the_bar_of_colours_does_not_lie_over_the_axis_in_any_layout(layout):
    figure = Figure((6, 6), layout=layout)
    ax = figure.add_subplot(2, 1, 1)
    figures.plot_heatmap(report_for_figures(), ax=ax)
    FigureCanvasAgg(figure).draw()
    (bar,) = ax.child_axes or (each for each in figure.axes if each is not ax)

    assert bar.get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0


def test_a_median_of_zero_is_told_as_that():
    run = report_for_figures().run
    still = (replace(e, ratios=dict.fromkeys(e.ratios, 0.0)) if isinstance(e, OptimizerStep) else e for e in run.events)
    legend = figures.plot_updates(Report(replace(run, events=tuple(still)))).axes[0].get_legend()

    assert "median exactly zero" in [t.get_text() for t in legend.get_texts()]


def test_of_too_many_panels_those_of_frozen_models_come_last():
    run = report_for_figures(tuple("abcdefghijklmnopqrstuvwxyz"), 2, 4, dead=("c", "r")).run
    frozen = set(run.models[2].parameters)
    parameters = {u: replace(p, trainable=u not in frozen) for u, p in run.parameters.items()}
    tallies = {u: t if t.backwards else Tally() for u, t in run.tallies.items()}
    figure = figures.plot_histograms(Report(replace(run, parameters=parameters, tallies=tallies)))

    titles = [ax.get_title(loc="center") or ax.get_title(loc="left") for ax in figure.axes]
    assert titles[0] == "r"
    assert "c" not in titles


def test_a_norm_that_is_not_finite_is_written_on_paper():
    run = on_one_line(report_for_figures(strange=False)).run
    broken = tuple(
        replace(e, norms=dict.fromkeys(e.norms, math.nan)) if isinstance(e, Backward) else e for e in run.events
    )
    (text, *_) = (
        t for t in figures.plot_flow(Report(replace(run, events=broken))).axes[0].texts if "nan" in t.get_text()
    )

    assert to_hex(text.get_bbox_patch().get_facecolor()) == figures_style.PAPER.lower()
    assert text.get_color() == figures_style.INK
