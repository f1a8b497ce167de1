"""What single facts make of a run: rules on runs made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gradscope.capture.events import Log
from gradscope.diagnosis import diagnose
from gradscope.diagnosis.finding import Severity
from gradscope.records import Backward, Group, Location, Tally
from gradscope.records.columns import Cohort, Column
from tests.builders import BACKWARD, STEP, make_run

FREEZE = (Location("train.py", 12, "main", "backbone.requires_grad_(False)"),)
NAN = math.nan


def loud(run):
    wanted = (Severity.ERROR, Severity.WARNING)
    return [(f.code, f.model, f.cause) for f in diagnose(run) if f.severity in wanted]


def frozen_run(*, held=True, **facts):
    """Two layers of a backbone that were frozen at a line and never got a gradient, beside a head that learns."""
    run = make_run({"backbone": ["0.weight", "1.weight"], "head": {"weight": 0.5}})
    frozen = {u: replace(run.parameters[u], trainable=False, frozen_at=FREEZE, loaded=True, **facts) for u in (0, 1)}
    groups = (Group((2,), 1e-3), Group((0, 1), 1e-3)) if held else (Group((2,), 1e-3),)
    tallies = {**run.tallies, **dict.fromkeys((0, 1), Tally(steps=8, steps_none=8, none_streak=8) if held else Tally())}
    optimizer = replace(run.optimizers[0], groups=groups)
    return replace(run, parameters={**run.parameters, **frozen}, optimizers=(optimizer,), tallies=tallies)


def test_what_is_frozen_in_an_optimizer_is_not_blamed_by_itself():
    assert loud(frozen_run()) == []


def test_a_thaw_that_was_set_on_the_module_is_told():
    (finding,) = (f for f in diagnose(frozen_run(misset=True)) if f.severity is Severity.ERROR)
    assert (finding.code, finding.model, finding.location) == ("GS103", "backbone", FREEZE[-1])
    assert "requires_grad_(True)" in finding.fix


def test_an_attribute_on_what_no_optimizer_holds_may_be_the_users_own():
    assert loud(frozen_run(misset=True, held=False)) == []


@pytest.mark.parametrize(("joined", "told"), [((), []), ((1,), [("GS103", "backbone", "requires_grad_false")])])
def test_a_frozen_group_that_joined_a_stepping_optimizer(joined, told):
    run = frozen_run()
    assert loud(replace(run, optimizers=(replace(run.optimizers[0], joined=joined),))) == told


def guarded_run(norms, step_line=(STEP,)):
    """An optimizer whose step() is written down and never ran, with these norms of its one parameter, pass by pass."""
    run = make_run({"pose": {"weight": 1.0}}, steps=len(norms))
    log, cohort = Log(), Cohort((0,))
    events = [Backward(i, i, i, (BACKWARD,), Column(cohort, [norm])) for i, norm in enumerate(norms)]
    for event in events:
        log.delivered(event.index, event.step, event.norms)
    optimizer = replace(run.optimizers[0], steps=0, step_line=step_line)
    return replace(run, events=tuple(events), tallies=log.tallies(), optimizers=(optimizer,))


def test_a_guard_that_skips_nothing_but_nan_is_right_and_the_nan_is_told():
    assert loud(guarded_run([NAN] * 6)) == [("GS301", "pose", "unknown")]


def test_a_guard_that_also_skips_good_gradients_is_told_itself():
    assert loud(guarded_run([1.0, NAN, 1.0, 1.0, NAN, 1.0])) == [("GS503", "pose", "never_reaches_step")]


def test_a_guard_that_also_skips_what_is_well_in_other_parameters_is_told_itself():
    run = make_run({"pose": {"weight": 1.0, "bias": 1.0}}, steps=6)
    log = Log()
    for index in range(6):
        log.delivered(index, index, Column(Cohort((0, 1)), [NAN, 1.0]))
    optimizer = replace(run.optimizers[0], steps=0, step_line=(STEP,))

    told = loud(replace(run, tallies=log.tallies(), optimizers=(optimizer,)))

    assert ("GS503", "pose", "never_reaches_step") in told


def test_a_scaler_that_skips_every_step_is_told_as_that():
    through = (Location("train.py", 51, "main", "scaler.step(optimizer)"),)
    assert ("GS503", "pose", "scaler_always_skips") in loud(guarded_run([NAN] * 6, through))


def test_what_no_normal_float32_can_be_counts_as_zero():
    log = Log()
    for index in range(4):
        log.delivered(index, index, Column(Cohort((0, 1)), [1e-39, 1e-30]))
    assert [log.tallies()[uid].zero for uid in (0, 1)] == [4, 0]


def test_zeros_that_end_in_nan_are_told_as_nan_alone():
    """And of those that stay zero it is not said that they are so in the last passes only."""
    run = make_run({"net": {"dead": 0.0, "mixed": 0.0}}, steps=10)
    log = Log()
    for index in range(10):
        log.delivered(index, index, Column(Cohort((0, 1)), [0.0, 0.0 if index < 7 else NAN]))
    steps = {uid: replace(tally, steps=10) for uid, tally in log.tallies().items()}
    found = {f.code: f for f in diagnose(replace(run, tallies=steps))}
    assert {code: f.parameters for code, f in found.items()} == {"GS201": ("dead",), "GS301": ("mixed",)}
    assert "in the last" not in found["GS201"].message
