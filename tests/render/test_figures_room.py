"""On the user's own axes nothing is cut, nothing meets, and nothing lies on what is beside."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gradscope.records import Backward, Edge, Graph, Location, Node
from gradscope.render import figures
from gradscope.report import Report
from tests.render.figure_builders import report_for_figures

PLOTS = [getattr(figures, name) for name in figures.__all__]
LONG = ("image_encoder", "text_encoder", "fusion_decoder", "discriminator")
SIZES = {"few": (LONG, 4, 12), "many": (("encoder", "decoder"), 250, 4)}


def drawn(figure, dpi):
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).draw()


def around(ax):
    """All that stands around axes, with their bar of colours, whose place follows theirs."""
    bars = [other for other in ax.figure.axes if getattr(other, "_colorbar_info", {}).get("parents") == [ax]]
    return Bbox.union([each.get_tightbbox() for each in (ax, *bars)])


@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("column", [0, 1])
def test_in_plain_axes_side_by_side_all_stays_in_its_half(plot, size, column):
    for dpi in (100, 150):
        figure = Figure()
        axes = figure.subplots(1, 2)
        middle = axes[0].get_position().x1
        plot(report_for_figures(*SIZES[size]), ax=axes[column])
        drawn(figure, dpi)
        box = around(axes[column])

        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1
        assert box.x0 >= (middle if column else 0) * figure.bbox.x1
        assert box.x1 <= (1 if column else middle) * figure.bbox.x1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(14, 14), (9, 10)])
def test_a_tight_layout_afterwards_makes_room_for_all(size):
    """`plt.tight_layout()` is what everybody calls: titles, legends and bars of colours stay and lie on nothing."""
    figure = Figure(size)
    axes = list(figure.subplots(3, 2).flat)
    for plot, ax in zip(PLOTS, axes, strict=False):
        plot(report_for_figures(*SIZES["few"]), ax=ax)
    figure.tight_layout()
    drawn(figure, 100)
    boxes = [ax.get_tightbbox(for_layout_only=True) for ax in axes]

    assert len(boxes) == 6
    for place, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:place])


def test_the_bar_of_colours_follows_its_axes():
    figure = Figure((10, 5))
    ax, _ = figure.subplots(1, 2)
    figures.plot_heatmap(report_for_figures(*SIZES["few"]), ax=ax)
    (bar,) = ax.child_axes
    drawn(figure, 100)
    before = ax.bbox.y0 - bar.bbox.y1
    figure.subplots_adjust(left=0.3, top=0.6)
    drawn(figure, 100)

    assert ax.bbox.y0 - bar.bbox.y1 == pytest.approx(before)
    assert ax.bbox.x0 <= bar.bbox.x0 < bar.bbox.x1 <= ax.bbox.x1


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: p.__name__)
def test_titles_side_by_side_do_not_meet(plot, layout):
    figure = Figure(layout=layout)
    axes = figure.subplots(1, 2)
    for ax in axes:
        plot(report_for_figures(*SIZES["few"]), ax=ax)
    drawn(figure, 100)
    left, right = (ax.title.get_window_extent() for ax in axes)

    assert left.x1 < right.x0
    assert right.x1 <= figure.bbox.x1


def test_the_title_of_one_model_is_whole():
    run = report_for_figures(("model",), 2, 3, ()).run
    line = Location("train_the_whole_network.py", 1234, "main", "loss.backward()")
    events = tuple(replace(e, path=(line,)) if isinstance(e, Backward) else e for e in run.events)
    figure = figures.plot_flow(Report(replace(run, events=events)))
    drawn(figure, 100)

    assert figure.axes[0]._left_title.get_window_extent().x1 <= figure.bbox.x1


def test_histograms_among_other_figures_say_what_they_are_of():
    ax = Figure().subplots()
    figures.plot_histograms(report_for_figures(), ax=ax)

    assert ax.get_title().startswith("Gradients of 2 models together")


@pytest.mark.parametrize(("width", "patches"), [(15, 250), (5, 0)])
def test_bars_narrower_than_a_pixel_are_an_outline(width, patches):
    ax = Figure(figsize=(width, 4)).subplots()
    figures.plot_depth(report_for_figures(("net",), 250, 2, (), strange=False), ax=ax)

    assert len(ax.patches) == patches
    assert len(ax.collections) == (not patches)


def in_order(*modules):
    """A traced step in which modules ran in this order."""
    run = report_for_figures(("net",), 8, 2, ()).run
    nodes, edges = [], []
    for module in modules:
        call = len(nodes)
        nodes.append(Node(call, "module", "Linear", "net", module))
        for uid, parameter in run.parameters.items():
            if parameter.owners[0].fqn.startswith(f"{module}."):
                nodes.append(Node(len(nodes), "parameter", "weight", "net", module, uid=uid))
                edges.append(Edge(nodes[-1].id, call))
    return Report(replace(run, graph=Graph(tuple(nodes), tuple(edges))))


def test_depth_is_in_the_order_in_which_modules_ran():
    ax = figures.plot_depth(in_order("layers.3", "layers.0", "layers.2")).axes[0]
    names = [t.get_text() for t in ax.get_xticklabels()]

    assert names[::2] == ["layers.3.weight", "layers.0.weight", "layers.1.weight", "layers.2.weight"]
    assert names[1] == "layers.3.bias"
    assert ax.get_xlabel() == "parameter, in the order in which modules ran"


def test_depth_is_as_registered_where_no_step_was_traced():
    ax = figures.plot_depth(report_for_figures(("net",), 8, 2, ())).axes[0]

    assert [t.get_text() for t in ax.get_xticklabels()][::2] == [f"layers.{i}.weight" for i in range(4)]
    assert ax.get_xlabel() == "parameter, in the order of its model"
