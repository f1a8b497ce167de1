"""Losses that take turns: what another line's pass does not reach is no absence; what no pass reaches is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradscope.records import Backward, Location, Passes
from gradscope.render import figures, figures_style
from gradscope.report import Report
from tests.render.figure_builders import report_for_figures
from tests.render.test_figure_gaps import legend
from tests.render.test_figures import pixels

MODELS = ("generator", "critic", "other_critic")
LINES = {name: Location("gan.py", line, "main", "loss.backward()") for line, name in enumerate(("d1", "d2", "g"), 26)}
REACHED = {"d1": (1,), "d2": (2,), "g": (0, 1, 2)}


def alternating(order, reached=None, *, counted=True, until=None) -> Report:
    """Two parameters a model; `order` names the line of each pass. From `until` on nothing reaches the generator."""
    reached = reached or REACHED
    run = report_for_figures(MODELS, 2, 1, (), strange=False).run
    events = []
    for index, name in enumerate(order):
        models = [m for m in reached[name] if m or until is None or index < until]
        norms = {u: 0.1 + u for m in models for u in run.models[m].parameters}
        events.append(Backward(index, index // 3, index, (LINES[name],), norms))
    whom = {n: frozenset(u for m in models for u in run.models[m].parameters) for n, models in reached.items()}
    lines = tuple(Passes(LINES[n], order.count(n), whom[n]) for n in dict.fromkeys(order)) if counted else ()
    seen = {u for n in set(order) for u in whom[n]}
    tallies = {u: replace(t, backwards=len(order) * (u in seen)) for u, t in run.tallies.items()}
    facts = {"steps": len(order) // 3, "backwards": len(order), "events": tuple(events), "lines": lines}
    return Report(replace(run, tallies=tallies, **facts))


def heatmap(report):
    ax = figures.plot_heatmap(report).axes[0]
    return ax, pixels(ax)[:, :, 3] == 1


GAN = ["d1", "d2", "g"] * 40
SOME_CRITICS = ["d1"] * 5 + ["g"]


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("order", [GAN, GAN[:36], SOME_CRITICS * 20], ids=["gan", "few steps", "many critic steps"])
def test_healthy_models_whose_losses_take_turns_have_no_stripes(order, counted):
    reached = REACHED if "d2" in order else {"d1": (1, 2), "g": (0,)}
    ax, opaque = heatmap(alternating(order, reached, counted=counted))

    assert opaque.all()
    assert ax.get_legend() is None
    assert "median over" in ax.get_xlabel()


def test_a_dead_model_stands_out_among_losses_that_take_turns():
    ax, opaque = heatmap(alternating(GAN, REACHED | {"g": (1, 2)}))

    assert not opaque[:2].any()
    assert opaque[2:].all()
    assert legend(ax) == ["no gradient"]


def test_what_its_own_line_reaches_no_more_is_absent():
    ax, opaque = heatmap(alternating(GAN, until=60))

    assert opaque[:2, :60].all()
    assert not opaque[:2, 60:].any()
    assert legend(ax) == ["no gradient"]


def test_before_the_first_pass_of_its_line_nothing_was_to_come():
    order = ["d1"] * 60 + ["g"] * 60
    ax, opaque = heatmap(alternating(order, {"d1": (1, 2), "g": (0, 1)}))
    hatched = [p for p in ax.patches if p.get_hatch() == figures_style.HATCH]

    assert not opaque[:2, :60].any()
    assert opaque[:2, 60:].all()
    assert legend(ax) == ["its line did not run"]
    assert not hatched


def test_lines_that_are_not_all_known_tell_nothing():
    report = alternating(GAN)
    run = replace(report.run, lines=report.run.lines[:1])
    ax, opaque = heatmap(Report(run))

    assert not opaque[0].all()
    assert "no gradient" in legend(ax)


def adding(report, every=1):
    """What the last line leaves in the critics is a sum with what their own lines had left."""
    run = report.run
    critics = frozenset(u for m in run.models[1:] for u in m.parameters)
    added = [
        replace(e, added=critics) if e.location == LINES["g"] and not e.index // 3 % every else e for e in run.events
    ]
    return Report(replace(run, events=tuple(added)))


def test_norms_say_where_they_are_of_sums():
    ax = figures.plot_norms(adding(alternating(GAN))).axes[0]

    assert legend(ax) == [
        "generator",
        "critic (gan.py:26)",
        "critic (gan.py:28) + earlier",
        "other_critic (gan.py:27)",
        "other_critic (gan.py:28) + earlier",
    ]
    assert ax.get_xlabel() == "backward pass\n+ earlier: with what earlier passes had left in .grad"


def test_the_flow_says_where_norms_are_of_sums():
    ax = figures.plot_flow(adding(alternating(GAN))).axes[0]
    marked = [t.get_position() for t in ax.texts if "+ earlier" in t.get_text()]

    assert marked == [(1, 2), (2, 2)]
    assert "+ earlier: with what earlier passes had left in .grad" in ax.get_xlabel()


@pytest.mark.parametrize("report", [alternating(GAN), adding(alternating(GAN), every=30)], ids=["never", "seldom"])
@pytest.mark.parametrize("plot", [figures.plot_norms, figures.plot_flow], ids=lambda p: p.__name__)
def test_nothing_is_said_where_gradients_are_cleared(plot, report):
    ax = plot(report).axes[0]

    assert "earlier" not in ax.get_xlabel() + " ".join(t.get_text() for t in ax.texts) + " ".join(words(ax))


def words(ax):
    return legend(ax) if ax.get_legend() else []
