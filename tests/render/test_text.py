"""The text report: goldens, and what must hold for every report."""

from __future__ import annotations

import unicodedata

import builders
import pytest

from gradscope.diagnosis.finding import Severity
from gradscope.records import Location
from gradscope.render.grid import display_width
from gradscope.render.text import render_failure, render_text

REPORTS = {
    "healthy": builders.healthy_report,
    "sick": builders.sick_report,
    "gan": builders.gan_report,
}


@pytest.mark.parametrize("name", REPORTS)
def test_text_is_as_agreed(name, golden):
    golden(f"{name}.txt", render_text(REPORTS[name]()) + "\n")


def test_narrow_text_is_as_agreed(golden):
    golden("sick_narrow.txt", render_text(builders.sick_report(), width=60, unicode=False) + "\n")


def test_coloured_text_says_the_same_as_plain_text(golden):
    colored = render_text(builders.sick_report(), color=True)
    golden("sick_color.txt", colored + "\n")
    plain = colored
    for code in ("0", "1", "2", "1;31", "1;33", "31", "32", "33", "36"):
        plain = plain.replace(f"\x1b[{code}m", "")

    assert plain == render_text(builders.sick_report())


def test_failure_is_as_agreed(golden):
    report = builders.sick_report()
    golden("failure.txt", render_failure(report, report.findings[:1]) + "\n")


def test_first_line_of_a_failure_names_the_model_and_the_line():
    report = builders.sick_report()

    assert render_failure(report, report.findings).splitlines()[0] == "No gradient reaches encoder (extractor.py:14)"


def test_a_healthy_run_says_little():
    assert 3 <= len(render_text(builders.healthy_report()).splitlines()) <= 6


def test_names_are_never_cut_however_narrow():
    names = [f"encoder.blocks.{i}.attention.self.query_projection.weight" for i in range(3)]
    report = builders.make_report(builders.make_run({"m" * 90: names}), [builders.make_finding("m" * 90, names)])
    text = render_text(report, width=20)

    assert "m" * 90 in text
    assert all(name in text for name in names)


def test_many_victims_are_counted():
    names = [f"layer.{i}" for i in range(1000)]
    report = builders.make_report(builders.make_run({"encoder": names}), [builders.make_finding("encoder", names)])
    text = render_text(report)

    assert "layer.3 and 996 more (all 1000 parameters)" in " ".join(text.split())
    assert "layer.4" not in text


def test_one_name_too_many_is_shown_rather_than_counted():
    names = [f"layer.{i}" for i in range(5)]
    report = builders.make_report(builders.make_run({"encoder": names}), [builders.make_finding("encoder", names)])

    assert "layer.3, layer.4" in render_text(report)


def test_a_long_path_is_folded_in_the_middle():
    path = tuple(Location("tree.py", i, "walk", "walk(child)") for i in range(1, 101))
    report = builders.make_report(builders.make_run({"encoder": ("w",)}), [builders.make_finding(path=path)])
    text = render_text(report)

    assert "... 92 more frames ..." in text
    assert text.count("walk(child)") == 8


@pytest.mark.parametrize(("backwards", "turned"), [(1, True), (9, False)])
def test_a_matrix_of_many_models_is_turned_round_or_goes_on_below(backwards, turned):
    names = [f"expert_number_{i}" for i in range(12)]
    places = [(Location("train.py", 20 + i, "", "loss.backward()"), names) for i in range(backwards)]
    run = builders.make_run({name: {"w": 1.0} for name in names}, lines=places)
    lines = render_text(builders.make_report(run, [builders.make_finding()]), width=80).splitlines()

    assert all(len(line) <= 80 for line in lines)
    assert sum(line.startswith("  backward ") for line in lines) == (0 if turned else 6)
    assert ("  model             train.py:20 x8" in lines) is turned


def test_of_very_many_models_only_those_in_trouble_have_a_row():
    models = {f"expert_{i}": {"w": 1.0} for i in range(30)} | {"router": ("w",)}
    lines = render_text(builders.make_report(builders.make_run(models), [builders.make_finding("router")])).splitlines()

    assert lines[4].split() == ["router", "Router", "no", "gradient", "0/1", "-"]
    assert lines[5] == "  and 30 more models: 30 flowing"


def test_a_finding_without_line_or_parameters_still_reads():
    finding = builders.make_finding(
        "",
        (),
        path=(),
        severity=Severity.WARNING,
        state="",
        cause="unknown",
        fix="",
        message="The scaler always skips.",
    )
    text = render_text(builders.make_report(builders.make_run({"encoder": ("w",)}), [finding]))

    assert text.splitlines()[0] == "! The scaler always skips"
    assert "at:" not in text
    assert "cause unknown" in text


def test_nothing_seen_is_said():
    assert "No model was seen" in render_text(builders.make_report(builders.make_run({}, steps=0)))
    assert "No backward pass was seen" in render_text(builders.make_report(builders.make_run({"a": ("w",)}, steps=0)))


@pytest.mark.parametrize("unicode", [True, False])
def test_hostile_names_cannot_control_the_terminal(hostile, unicode):
    text = render_text(builders.hostile_report(hostile), unicode=unicode)

    assert not [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c != "\n"]
    text.encode("utf-8" if unicode else "ascii")


def test_columns_line_up_with_wide_characters():
    report = builders.make_report(builders.make_run({"编码器": {"w": 1.0}, "dec": {"w": 1.0}}))
    rows = render_text(report).splitlines()[2:]

    assert len({display_width(row) for row in rows}) == 1


def test_a_long_source_line_fits_where_names_do():
    line = Location("train.py", 50, "main", "loss = " + " + ".join(f"term_number_{i}" for i in range(30)))
    run = builders.make_run({name: builders.weights(1, 0.2) for name in "abcd"}, lines=((line, "abcd"),))
    report = builders.make_report(run, (builders.make_finding("a", path=(line, line), also=(line,)),))
    text = render_text(report, width=80)

    assert max(map(len, text.splitlines())) <= 80
    assert text.count("backward  ") == 1, "the matrix is one table"


def test_a_failure_lets_pass_no_more_than_it_is_about():
    report = builders.sick_report()
    said = [render_failure(report, [finding], allowing="gradient_flow") for finding in report.findings]

    assert said[0].endswith("If it is meant: gradient_flow(allow=['encoder'])")
    assert said[1].endswith("If it is meant: gradient_flow(allow=['decoder.scale.bias'])")


def test_repr_is_one_line_that_gives_the_verdict():
    said = repr(builders.sick_report())

    assert said.startswith("<Report: ")
    assert "\n" not in said
    assert len(said) < 300
    assert render_text(builders.sick_report()).splitlines()[0].lstrip("✗ ") in said
