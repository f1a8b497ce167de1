"""The words of findings: right for one model and for several parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradscope.diagnosis import diagnose
from gradscope.diagnosis.causes import CAUSES
from gradscope.diagnosis.rules.common import in_plural
from gradscope.records import Cut, Location
from tests.builders import make_run


@pytest.mark.parametrize(
    ("cause", "plural"),
    [
        ("not_in_optimizer", "they get gradients, but no optimizer holds them"),
        ("zero_multiplier", "they are multiplied by zero on the way to the loss"),
        ("unused_module", "they never take part in the computation"),
        (
            "update_lost_in_low_precision",
            "their updates are smaller than their dtype can represent and are rounded away",
        ),
        ("zeroed_before_step", "their gradients are cleared before the optimizer uses them"),
        ("dead_relu", CAUSES["dead_relu"].said),
    ],
)
def test_a_cause_is_said_of_several_parameters(cause, plural):
    assert in_plural(CAUSES[cause].said) == plural


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_reads_as_part_of_a_sentence(cause):
    said, fix = CAUSES[cause]

    assert said[0].islower() or not said[0].isalpha()
    assert not said.endswith(".")
    assert not fix.endswith(".")


def test_a_cut_as_only_a_newer_gradscope_knows_it_is_of_unknown_cause():
    """A run file of the same format may hold a cause, or a kind of evidence, that was added later."""
    path = (Location("train.py", 7, "step", "out = net(x).vanish()"),)
    run = make_run({"net": ["weight"], "head": {"weight": 0.5}})
    (finding,) = diagnose(replace(run, cuts=(Cut("vanish", frozenset({0}), path, "vanish", 1, "guessed"),)))

    assert (finding.code, finding.cause, finding.evidence) == ("GS101", "unknown", "inferred")
    assert finding.location == path[0]
