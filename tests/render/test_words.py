"""Numbers, counts and the verdict."""

from __future__ import annotations

import math

import builders
import pytest

from gradscope.diagnosis.finding import Severity
from gradscope.records import Location
from gradscope.render.words import brief, number, verdict


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
