"""The words of findings: right for one model and for several parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradscope.diagnosis import diagnose
from gradscope.diagnosis.causes import CAUSES
from gradscope.diagnosis.plural import in_plural
from gradscope.records import Cut, Location, Tally
from gradscope.report import Report
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


@pytest.mark.parametrize(("cause", "grown"), [("log_of_zero", set()), ("exp_overflow", {0})])
def test_growth_after_a_nan_of_its_own_cause_is_its_consequence(cause, grown):
    from gradscope.diagnosis.rules.gs402_exploding_gradient import exploded
    from gradscope.records import OptimizerStep, Origin, Owner, Parameter, Run

    run = Run(
        steps=2,
        parameters={0: Parameter(0, (4, 4), "float32", "cpu", True, (Owner("router", "weight"),))},
        events=(
            OptimizerStep(1, 0, 0, 0, (), {0: 1.0}, ratios={0: 2.0}, weights={0: 1.0}),
            OptimizerStep(2, 1, 1, 0, (), {0: float("nan")}),
        ),
        origins=(Origin("nan", cause, frozenset({0}), (), "log", 1, 1),),
    )
    assert exploded(run)[1] == grown


@pytest.mark.parametrize(("freezes", "said"), [(10, ["GS104"]), (1, [])])
def test_what_is_frozen_turn_after_turn_behind_a_guard_has_stopped(freezes, said):
    line = Location("train.py", 5, "toggle", "p.requires_grad_(flag)")
    run = make_run({"critic": {"weight": 1.0}, "actor": {"weight": 1.0}}, steps=10)
    critic = run.models[0].parameters[0]
    frozen = replace(run.parameters[critic], trainable=False, frozen_at=(line,), freezes=freezes)
    once = Tally(backwards=1, first_backward=0, last_backward=0, steps=1, trainable_steps=1, norm_last=1.0)
    run = replace(run, parameters={**run.parameters, critic: frozen}, tallies={**run.tallies, critic: once})
    report = Report(run)
    assert [f.code for f in report.findings] == said
    assert ("critic: none any more" in str(report)) == bool(said)
    assert all(f.location == line and f.severity == "info" for f in report.findings)
