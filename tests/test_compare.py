"""Two runs side by side, on runs built by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gradscope.compare import compare
from gradscope.diagnosis.finding import State
from gradscope.records import Backward, Model, Owner, Parameter, Run
from gradscope.runfile import write_run
from gradscope.tallies import Recount

NAMES = {1: ("encoder", "a.weight"), 2: ("encoder", "a.bias"), 3: ("decoder", "b.weight")}


def make(*steps: dict[int, float | None], first_uid: int = 0) -> Run:
    """A run whose k-th step has one backward that delivers these norms."""
    parameters = {
        uid + first_uid: Parameter(uid + first_uid, (2,), "float32", "cpu", True, (Owner(*name),))
        for uid, name in NAMES.items()
    }
    models = tuple(
        Model(model, model.title(), tuple(uid for uid, p in parameters.items() if p.owners[0].model == model))
        for model in ("encoder", "decoder")
    )
    events = tuple(
        Backward(k, k, k, (), {uid + first_uid: norm for uid, norm in norms.items()}) for k, norms in enumerate(steps)
    )
    recount = Recount({}, parameters, ())
    recount.add(events)
    return Run(
        steps=len(steps), backwards=len(steps), models=models, parameters=parameters, events=events,
        tallies=recount.tallies(),
    )  # fmt: skip


HEALTHY = make(*[{1: 1.0, 2: 2.0, 3: 3.0}] * 5)


def change_of(comparison, name):
    return next(change for change in comparison.models if change.model == name)


def test_a_run_is_the_same_as_itself():
    result = compare(HEALTHY, HEALTHY)

    assert result.same
    assert [change.same for change in result.models] == [True, True]


def test_uids_do_not_matter():
    assert compare(HEALTHY, make(*[{1: 1.0, 2: 2.0, 3: 3.0}] * 5, first_uid=70)).same


def test_gradient_lost_from_the_third_step_on():
    after = make(*[{1: 1.0, 2: 2.0, 3: 3.0}] * 2, *[{3: 3.0}] * 3)
    change = change_of(compare(HEALTHY, after), "encoder")

    assert change.differs_since == 2
    assert change.parameters == ("a.bias", "a.weight")
    assert change_of(compare(HEALTHY, after), "decoder").same


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_gradient_that_turned_bad(value):
    change = change_of(compare(HEALTHY, make(*[{1: 1.0, 2: 2.0, 3: 3.0}] * 4, {1: value, 2: 2.0, 3: 3.0})), "encoder")

    assert (change.differs_since, change.parameters) == (4, ("a.weight",))


def test_unmeasured_is_not_another_kind():
    assert compare(HEALTHY, make(*[{1: None, 2: None, 3: None}] * 5)).models[0].differs_since is None


def test_size_alone_is_a_drift():
    after = make({1: 1.0, 2: 2.0, 3: 3.0}, *[{1: 1.0, 2: 2.0, 3: 6.0}] * 4)
    change = change_of(compare(HEALTHY, after), "decoder")

    assert (change.differs_since, change.drifts_since) == (None, 1)
    assert (change.norm_before, change.norm_after) == (3.0, 6.0)
    assert change_of(compare(HEALTHY, after, tolerance=2.0), "decoder").same


def test_model_only_in_one_run():
    after = replace(HEALTHY, models=HEALTHY.models[:1])
    change = change_of(compare(HEALTHY, after), "decoder")

    assert change.before is not None
    assert change.after is None


def test_states_are_told():
    after = make(*[{3: 3.0}] * 5)
    change = change_of(compare(HEALTHY, after), "encoder")

    assert change.before is State.FLOWING
    assert change.after in (State.NONE, State.UNUSED)


def run_command(args):
    from argparse import ArgumentParser

    from gradscope.cli import compare as command

    parser = ArgumentParser()
    command.configure(parser)
    return command.run(parser.parse_args([str(arg) for arg in args]))


def test_command(tmp_path, capsys):
    write_run(tmp_path / "a.gradscope", HEALTHY)
    write_run(tmp_path / "b.gradscope", make(*[{1: 1.0, 2: 2.0, 3: 3.0}] * 2, *[{3: 3.0}] * 3))
    status = run_command([tmp_path / "a.gradscope", tmp_path / "b.gradscope", "--exit-code"])
    out = capsys.readouterr().out

    assert status == 1
    assert "since step 2: a.bias, a.weight" in out
    assert run_command([tmp_path / "a.gradscope", tmp_path / "a.gradscope", "--exit-code"]) == 0
    assert "nothing changed" in capsys.readouterr().out


def test_command_says_how_much_of_a_model_flows(tmp_path, capsys):
    write_run(tmp_path / "a.gradscope", HEALTHY)
    write_run(tmp_path / "b.gradscope", make(*[{1: 1.0, 3: 3.0}] * 5))
    run_command([tmp_path / "a.gradscope", tmp_path / "b.gradscope"])
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("encoder"))

    assert row.split("  ")[:3] == ["encoder", "flowing", "partly flowing 1/2"]


def test_command_as_json(tmp_path, capsys):
    write_run(tmp_path / "a.gradscope", HEALTHY)
    run_command([tmp_path / "a.gradscope", tmp_path / "a.gradscope", "--json"])
    plain = json.loads(capsys.readouterr().out)

    assert plain["same"] is True
    assert [model["model"] for model in plain["models"]] == ["encoder", "decoder"]
