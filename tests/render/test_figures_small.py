"""In small axes among others the data keeps its room: fewer labels, shorter words, no notes."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gradscope.render import figures
from tests.render.figure_builders import report_for_figures
from tests.render.test_figure_gaps import apart, corners, legend
from tests.render.test_figure_turns import GAN, REACHED, alternating
from tests.render.test_figures_room import around

PLOTS = [getattr(figures, name) for name in figures.__all__]
SIZES = {"2 x 3 in 9 x 5": (9, 5, 2, 3), "2 x 3 of the usual size": (6.4, 4.8, 2, 3), "3 x 2": (7, 7, 3, 2)}
REPORTS = {
    "gan": lambda: alternating(GAN, REACHED | {"g": (1, 2)}),
    "long names": lambda: report_for_figures(("image_encoder", "text_encoder", "fusion_decoder"), 8, 24),
    "many": lambda: report_for_figures(("encoder", "decoder"), 60, 12),
}


def small(plot, report, size, layout=None, place=4):
    width, height, rows, columns = size
    figure = Figure((width, height), layout=layout)
    ax = figure.subplots(rows, columns).flat[place]
    before = ax.bbox.height
    plot(report, ax=ax)
    figure.set_dpi(100)
    FigureCanvasAgg(figure).draw()
    return ax, before


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
def test_the_data_keeps_half_of_the_height(plot, size, report):
    ax, before = small(plot, REPORTS[report](), SIZES[size])

    assert ax.bbox.height >= 0.5 * before
    assert ax.bbox.width >= 0.25 * SIZES[size][0] / SIZES[size][3] * 100
    assert around(ax).y0 >= 0


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
def test_nothing_lies_on_another(plot, size, report):
    ax, _ = small(plot, REPORTS[report](), SIZES[size])
    for each in (
        ax,
        *(other for other in ax.figure.axes if getattr(other, "_colorbar_info", {}).get("parents") == [ax]),
    ):
        words = each.get_legend().get_texts() if each.get_legend() else []
        ticks = [*ticks_of(each.xaxis), *ticks_of(each.yaxis)]
        named = [each.xaxis.label, each.yaxis.label, *ticks] if each.axison else []
        texts = [*each.texts, each.title, *words, *named]
        shown = [(t.get_text(), corners(t)) for t in texts if t.get_text().strip() and t.get_visible()]
        for (one, a), (other, b) in itertools.combinations(shown, 2):
            assert apart(a, b), (one, other)


def ticks_of(axis):
    """The labels of ticks that are drawn."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def test_the_flow_has_its_numbers_instead_of_a_scale():
    ax, _ = small(figures.plot_flow, REPORTS["gan"](), SIZES["2 x 3 in 9 x 5"])

    assert [t.get_text() for t in ax.texts].count("none") == 5
    assert len(ax.figure.axes) == 6
    assert [t.get_text() for t in ax.get_yticklabels()] == ["gan.py:26", "gan.py:27", "gan.py:28"]


def test_a_flow_that_has_no_room_for_numbers_has_a_scale():
    report = report_for_figures(tuple(f"expert_{i}" for i in range(12)), 2, 6)
    ax, _ = small(figures.plot_flow, report, SIZES["2 x 3 in 9 x 5"])

    assert not ax.texts
    assert len(ax.child_axes) == 1


def test_a_model_has_one_entry_and_the_rest_is_counted():
    ax, _ = small(figures.plot_norms, REPORTS["gan"](), SIZES["2 x 3 in 9 x 5"])
    many = report_for_figures(tuple(f"a_longer_name_{i}" for i in range(8)), 2, 6, dead=())
    crowded, _ = small(figures.plot_norms, many, SIZES["2 x 3 in 9 x 5"])

    assert legend(ax) == ["generator (no gradient)", "critic", "other_critic"]
    assert legend(crowded)[-1].startswith("and ")


def test_notes_are_left_out():
    ax, _ = small(figures.plot_heatmap, REPORTS["gan"](), SIZES["2 x 3 in 9 x 5"])

    assert ax.get_xlabel() == "backward pass"


@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
@pytest.mark.parametrize("layout", ["constrained", "tight"])
def test_also_where_a_layout_makes_room(plot, layout):
    ax, before = small(plot, REPORTS["gan"](), SIZES["2 x 3 in 9 x 5"], layout)

    assert ax.bbox.height >= 0.5 * before


@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
def test_a_sheet_of_our_own_is_never_small(plot):
    figure = plot(report_for_figures(("encoder",), 1, 6, dead=()))
    words = " ".join(ax.get_xlabel() + ax.get_ylabel() for ax in figure.axes)

    assert any(part in words for part in ("(", ",")) or plot is figures.plot_heatmap
