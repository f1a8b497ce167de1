"""Figures of a long run whose norms were measured now and then: what was counted at each pass is shown nevertheless."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from gradscope.records import Backward, Passes, Run
from gradscope.records.columns import Cohort, is_measured
from gradscope.render import figures, figures_style
from gradscope.render.figures_silence import over, silences, silent_cells
from gradscope.report import Report
from gradscope.tallies import Recount
from gradscope.tallies.arrivals import Spread
from tests.render.figure_builders import report_for_figures
from tests.render.test_figure_gaps import legend
from tests.render.test_figures import on_one_line, pixels

TOTAL, END, EVERY = 600, 300, 100


def thinned(reaches, every: int = EVERY, *, all_kept: bool = True) -> Report:
    """Two models of two parameters; `reaches(pass)` says whether the second got anything. Each n-th is measured."""
    run = on_one_line(report_for_figures(("net", "other"), 2, TOTAL, (), strange=False)).run
    other = set(run.models[1].parameters)
    events = []
    for event in run.events:
        norms = {u: 0.1 + u for u in run.parameters if u not in other or reaches(event.index)}
        events.append(replace(event, norms=norms if event.index % every == 0 else dict.fromkeys(norms)))
    recount = Recount({}, run.parameters, run.optimizers)
    recount.add(events)
    kept = [e for e in events if not isinstance(e, Backward) or all_kept or is_measured(e.norms)]
    facts = {"events": tuple(kept), "tallies": recount.tallies(), "lines": recount.lines()}
    return Report(replace(run, arrivals=recount.arrivals(), **facts))


def stops(number: int) -> bool:
    return number < END


def always(_: int) -> bool:
    return True


def second(number: int) -> bool:
    return number % 2 == 0


def spans(ax, hatch):
    """From and to of the patches with this hatching, in data."""
    found = [p for p in ax.patches if p.get_hatch() == hatch and p.get_height() < 1]
    return [(p.get_x(), p.get_x() + p.get_width()) for p in found]


@pytest.mark.parametrize("all_kept", [True, False])
def test_norms_show_the_whole_run_and_where_nothing_came(all_kept):
    report = thinned(stops, all_kept=all_kept)
    ax = figures.plot_norms(report).axes[0]
    lines = {to_hex(line.get_color()): line for line in ax.lines if len(line.get_xdata()) > 1}

    assert ax.get_xlim()[0] < 0
    assert ax.get_xlim()[1] > TOTAL - 1
    assert legend(ax) == ["net", f"other (no gradient from pass {END} on)", "no gradient"]
    assert ax.get_xlabel() == "backward pass\nnorms measured at 6 of 600 passes"
    assert spans(ax, figures_style.HATCH) == [(END - 0.5, TOTAL - 0.5)]
    assert [sum(np.isfinite(line.get_ydata())) for line in lines.values()] == [6, 3]


def test_no_line_leads_over_a_silence():
    ax = figures.plot_norms(thinned(lambda number: not 150 < number < 350, all_kept=False)).axes[0]
    line = next(line for line in ax.lines if np.isnan(line.get_ydata()).any())
    points = list(zip(line.get_xdata(), line.get_ydata(), strict=True))
    joined = [(a, b) for (a, p), (b, q) in itertools.pairwise(points) if np.isfinite([p, q]).all()]

    assert (100, 400) not in joined
    assert (400, 500) in joined
    ((start, end),) = spans(ax, figures_style.HATCH)
    assert abs(start - 151) < 5
    assert abs(end - 350) < 5


def test_a_healthy_run_has_no_silence_and_its_line_goes_on():
    ax = figures.plot_norms(thinned(always)).axes[0]

    assert legend(ax) == ["net", "other"]
    assert all(np.isfinite(line.get_ydata()).all() for line in ax.lines)
    assert ax.patches == [] or not spans(ax, figures_style.HATCH)


def test_what_comes_at_every_second_pass_is_told_and_is_no_silence():
    """Every 100th pass is measured: all of these had a gradient."""
    ax = figures.plot_norms(thinned(second)).axes[0]
    other = [line for line in ax.lines if np.isnan(line.get_ydata()).any()]

    assert legend(ax) == ["net", "other (a gradient at 300 of 600 steps)"]
    assert len(other) == 1
    assert all(np.isnan([p, q]).any() for p, q in itertools.pairwise(other[0].get_ydata()))


@pytest.mark.parametrize("all_kept", [True, False])
def test_heatmap_tells_absence_from_what_was_not_measured(all_kept):
    ax = figures.plot_heatmap(thinned(stops, all_kept=all_kept)).axes[0]
    opaque = pixels(ax)[:, :, 3] == 1
    narrow = -(-TOTAL // opaque.shape[1])
    unknown = [p for p in ax.patches if p.get_hatch() == figures_style.UNKNOWN_HATCH]
    dotted = np.zeros_like(opaque)
    for p in unknown:
        left, top = round(p.get_x() + 0.5), round(p.get_y() + 0.5)
        dotted[top : top + round(p.get_height()), left : left + round(p.get_width())] = True

    assert set(legend(ax)) == {"no gradient", "not measured"}
    assert (opaque[:2] | dotted[:2]).all()
    assert (opaque[2:, : END // narrow] | dotted[2:, : END // narrow]).all()
    assert not (opaque | dotted)[2:, -(-END // narrow) :].any()
    assert "norms measured at 6 of 600 passes" in ax.get_xlabel()


def test_too_many_cells_that_are_not_known_are_not_drawn_as_absent(monkeypatch):
    monkeypatch.setattr("gradscope.render.figures_matrix.MOST_PATCHES", 0)
    ax = figures.plot_heatmap(thinned(stops)).axes[0]
    cells = pixels(ax)

    assert not [p for p in ax.patches if p.get_hatch() == figures_style.UNKNOWN_HATCH]
    assert (cells[:2, :, 3] == 1).all()
    assert (cells[2:, -1, 3] == 0).all()


def test_depth_says_that_a_norm_is_of_the_past():
    ax = figures.plot_depth(thinned(stops)).axes[0]
    past = [p.get_x() + p.get_width() / 2 for p in ax.patches if p.get_hatch() == figures_style.OVER_LOOKS["hatch"]]

    assert past == pytest.approx([2, 3])
    assert legend(ax) == ["none any more (this was the last)"]
    assert ax.get_ylabel() == "gradient norm (last measured)"
    assert "norms measured at 6 of 600 passes" in ax.get_xlabel()


def test_depth_knows_the_last_norm_although_no_event_was_kept():
    """The events that were kept may be older than what the tallies know."""
    report = thinned(always)
    tallies = {u: replace(t, norm_last=0.0) for u, t in report.run.tallies.items()}

    assert "exactly zero" in legend(figures.plot_depth(Report(replace(report.run, tallies=tallies))).axes[0])


def test_flow_says_that_a_line_reaches_a_model_no_more():
    report = thinned(stops)
    ax = figures.plot_flow(report).axes[0]

    assert report.flow[0].idle == {"other": TOTAL - END}
    assert [t.get_text() for t in ax.texts][1].endswith("\nlast 300: none")
    assert legend(ax) == ["none any more"]
    assert [(p.get_x(), p.get_width()) for p in ax.patches if p.get_hatch()] == [(0.5, 1)]


@pytest.mark.parametrize("reaches", [always, second])
def test_flow_says_nothing_of_what_still_comes(reaches):
    ax = figures.plot_flow(thinned(reaches)).axes[0]

    assert ax.get_legend() is None
    assert not any("last" in t.get_text() for t in ax.texts)


def test_updates_say_where_a_model_got_its_last_gradient():
    assert f"other (no gradient from pass {END} on)" in legend(figures.plot_updates(thinned(stops)).axes[0])


def test_the_page_says_how_many_passes_were_measured(tmp_path):
    page = thinned(stops).save(tmp_path / "report.html").read_text(encoding="utf-8")

    assert "norms measured at 6 of 600 passes; the counts and states are of all of them" in page
    assert "(last 300: none)" in page
    assert "were kept" not in page


def counted(reached: list[bool]) -> Run:
    spread, both, one = Spread(), Cohort((0, 1)), Cohort((0,))
    for there in reached:
        spread.add(both if there else one, measured=True)
    return Run(backwards=len(reached), arrivals=spread.freeze())


def test_silence_is_far_longer_than_usual():
    run = thinned(lambda number: number % 40 == 0).run
    assert silences(run, run.models[1].parameters) == []
    assert over(run, run.models[1].parameters) is None

    run = thinned(lambda number: number % 40 == 0 and number < 200).run
    assert silences(run, run.models[1].parameters) == [(161, TOTAL)]
    assert over(run, run.models[1].parameters) == 161


@pytest.mark.parametrize("total", [50, 511, 512, 513, 2000])
@pytest.mark.parametrize("width", [1, 3, 7])
def test_cells_are_silent_only_where_no_pass_came(total, width):
    reached = [number % 100 < 60 for number in range(total)]
    columns = -(-total // width)
    run = counted(reached)
    found = silent_cells(run, [0, 1, 2], width, columns)
    truth = [not any(reached[at : at + width]) for at in range(0, total, width)]

    assert not found[0].any()
    assert found[2].all()
    assert all(true for true, said in zip(truth, found[1], strict=True) if said)
    assert run.arrivals.width > 1 or found[1].tolist() == truth


def test_what_lies_behind_the_counted_passes_is_not_silent():
    run = replace(counted([True] * 10), backwards=20)

    assert not silent_cells(run, [1], 1, 20).any()
    assert silent_cells(run, [2], 1, 20)[0].tolist() == [True] * 10 + [False] * 10


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("plot", [figures.plot_norms, figures.plot_updates, figures.plot_heatmap])
def test_ticks_of_passes_are_whole_numbers(plot, total):
    figure = plot(report_for_figures(("net", "other"), 2, total, (), strange=False))
    figure.draw_without_rendering()
    texts = [t.get_text() for t in figure.axes[0].get_xticklabels() if t.get_text()]

    assert texts
    assert all(text.lstrip("\N{MINUS SIGN}").isdigit() for text in texts), texts


def test_lines_of_an_old_file_say_nothing_of_the_last():
    run = thinned(stops).run
    (line,) = run.lines
    report = Report(replace(run, lines=(Passes(line.location, line.count, line.reached),)))

    assert report.flow[0].idle == {}
