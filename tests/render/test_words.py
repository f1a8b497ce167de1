"""Numbers, counts and the verdict."""

from __future__ import annotations

import math

import builders
import pytest

from gradscope.diagnosis.finding import Severity
from gradscope.records import Location
from gradscope.render.verdict import verdict
from gradscope.render.words import brief, number


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.31, "0.31"),
        (999.4, "999"),
        (999.6, "1000"),
        (1234.5, "1234"),
        (999999.9, "1e+06"),
        (3.2e-7, "3.2e-07"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_a_verdict_names_every_model_of_the_worst_kind():
    run = builders.make_run({"encoder": ("a",), "critic": ("a", "b"), "head": {"a": 1.0}})
    findings = [builders.make_finding("encoder", ("a",)), builders.make_finding("critic", ("a",))]

    assert verdict(builders.make_report(run, findings)).headline == (
        "No gradient reaches encoder (extractor.py:14), 1 of 2 parameters of critic (extractor.py:14)"
    )


def test_a_headline_counts_all_that_is_lost_in_a_model_and_says_what_its_line_is_to_blame_for():
    run = builders.make_run({"moe": ("router", "a", "b", "c"), "net": ("a", "b")})
    findings = [
        builders.make_finding("moe", ("router",)),
        builders.make_finding("net", ("a",)),
        builders.make_finding("moe", ("a", "b"), code="GS102", severity=Severity.WARNING, path=()),
        builders.make_finding("net", ("b",), severity=Severity.WARNING, path=()),
        builders.make_finding("moe", ("c",), severity=Severity.INFO, path=()),
    ]

    assert verdict(builders.make_report(run, findings)).headline == (
        "No gradient reaches 3 of 4 parameters of moe (1 of them at extractor.py:14), "
        "net (1 of its parameters at extractor.py:14)"
    )
    assert verdict(builders.make_report(run, findings), findings[:1]).headline == (
        "No gradient reaches 1 of 4 parameters of moe (extractor.py:14)"
    )


def test_a_headline_hides_no_other_kind_of_loss():
    run = builders.make_run({"unused": ("a",), "gate": {"a": 0.0}, "wild": {"a": math.nan}})
    findings = [
        builders.make_finding("unused", ("a",), code="GS102", path=()),
        builders.make_finding("gate", ("a",), code="GS201", state="zero"),
        builders.make_finding("wild", ("a",), code="GS301", state="nonfinite", path=()),
    ]

    assert verdict(builders.make_report(run, findings)).headline == (
        "No gradient reaches unused; only zero gradients reach gate (extractor.py:14); NaN or Inf gradients reach wild"
    )


def test_infos_alone_are_well():
    said = verdict(builders.gan_report())

    assert said.worst is None
    assert said.headline == "Nothing wrong: gradients flow in 2 of 3 models; teacher: frozen"
    assert said.counts.startswith("1 info; ")


def test_a_warning_speaks_when_there_is_no_error():
    finding = builders.make_finding(severity=Severity.WARNING, state="flowing", message="Its learning rate is 0.")

    assert verdict(builders.make_report(builders.make_run({"encoder": ("a",)}), [finding])).headline == (
        "Its learning rate is 0"
    )


def test_a_headline_has_no_path_of_the_machine():
    assert brief(Location("/srv/users/me/train.py", 3)) == "train.py:3"
    assert brief(Location("src/train.py", 3)) == "src/train.py:3"
