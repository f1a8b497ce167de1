"""The flow matrix where one line runs for several models, or several calls are on one line."""

from __future__ import annotations

import math
from dataclasses import replace

from gradscope.records import Backward, Location, Passes
from gradscope.render import figures
from gradscope.render.flows import flow_lines, flow_words
from gradscope.render.table import flow_table, turned_flow_table
from gradscope.report import Report
from tests.builders import make_run, weights

D_CALL = Location("gan.py", 31, "train", "d_loss.backward()")
G_CALL = Location("gan.py", 31, "train", "g_loss.backward()")
LOOP = Location("cycle.py", 12, "train", "loss.backward()")


def cells(report: Report) -> list[list[str]]:
    return [[cell.text for cell in row[2:]] for row in flow_table(report, report.models).rows]


def said(report: Report) -> list[str]:
    return [text.get_text() for text in figures.plot_flow(report).axes[0].texts]


def with_nan(report: Report, last: int) -> Report:
    """The same with NaN in the last passes."""
    events = [event for event in report.run.events if isinstance(event, Backward)]
    broken = {id(event) for event in events[-last:]}
    spoilt = (
        replace(event, norms=dict.fromkeys(event.norms, math.nan)) if id(event) in broken else event
        for event in report.run.events
    )
    return Report(replace(report.run, events=tuple(spoilt)))


def test_two_calls_on_one_line_have_a_row_each():
    lines = ((D_CALL, ("critic",)), (G_CALL, ("gen", "critic")))
    report = Report(make_run({"gen": weights(1, 0.3), "critic": weights(1, 0.4)}, steps=9, lines=lines))

    assert flow_lines(report.flow) == ["gan.py:31 d_loss.backward()", "gan.py:31 g_loss.backward()"]
    assert [row[0] for row in cells(report)] == ["9", "9"]
    assert [row[1] == "-" for row in cells(report)] == [True, False]
    titles = [column.title for column in turned_flow_table(report, report.models).columns]
    assert titles == ["model", "gan.py:31 d_loss.backward() x9", "gan.py:31 g_loss.backward() x9"]
    labels = [label.get_text() for label in figures.plot_flow(report).axes[0].get_yticklabels()]
    assert labels == ["gan.py:31 d_loss.backward()  x9", "gan.py:31 g_loss.backward()  x9"]


def test_a_line_that_runs_for_one_model_after_another_says_how_often_for_each():
    lines = ((LOOP, ("d_a",)), (LOOP, ("d_b",)))
    report = Report(make_run({"d_a": {"w.weight": 0.25}, "d_b": {"w.weight": 0.5}}, steps=9, lines=lines))

    assert cells(report) == [["18", "0.25 x9", "0.5 x9"]]
    assert said(report) == ["0.25 x9", "0.5 x9"]
    assert flow_words(report).endswith("; x9: in 9 of the passes only")


def test_nan_says_in_how_many_of_the_passes_it_was():
    report = Report(make_run({"net": {"w.weight": 0.25}}, steps=9))

    assert cells(report) == [["9", "0.25"]]
    assert "only" not in flow_words(report)
    assert cells(with_nan(report, 3)) == [["9", "nan x3"]]
    assert said(with_nan(report, 3)) == ["nan x3"]
    assert cells(with_nan(report, 9)) == [["9", "nan"]]


def test_where_passes_were_not_kept_no_number_of_them_is_told():
    lines = ((LOOP, ("d_a",)), (LOOP, ("d_b",)))
    run = make_run({"d_a": {"w.weight": 0.25}, "d_b": {"w.weight": 0.5}}, steps=9, lines=lines)
    report = Report(replace(run, lines=(Passes(LOOP, 1000, frozenset(run.parameters)),)))

    assert cells(report) == [["1000", "0.25", "0.5"]]
