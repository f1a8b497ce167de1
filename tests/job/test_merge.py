"""Summaries of ranks, put together without any process."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from gradscope.job import Merger, Summary, decode, encode, summarize, with_job
from gradscope.records import Group, Model, Optimizer, OptimizerStep, Owner, Parameter, Run, Tally
from gradscope.report import Report
from gradscope.runfile import read_run, write_run


def run_of(norms, *, rank=0, world=4, applied=None, parts=None):
    """One rank whose parameters have these last norms; None received nothing, 0.0 only zeros."""
    parameters = {
        uid: Parameter(uid, (2,), "float32", "cpu", True, (Owner("net", fqn),)) for uid, fqn in enumerate(norms)
    }
    tallies = {
        uid: Tally()
        if norm is None
        else Tally(backwards=5, measured=5, zero=5 * (norm == 0.0), nonfinite=not math.isfinite(norm), norm_last=norm)
        for uid, norm in enumerate(norms.values())
    }
    given = {uid: n for uid, n in enumerate((applied or norms).values()) if n is not None}
    return Run(
        steps=5, backwards=5, models=(Model("net", "Net", tuple(parameters)),), parameters=parameters,
        events=(OptimizerStep(1, 0, 0, 0, (), given, ratios=dict.fromkeys(given, 0.1)),),
        optimizers=(Optimizer(0, "optimizer", "SGD", (Group(tuple(parameters), 0.1),), steps=1),),
        tallies=tallies, rank=rank, world=world, parts=parts or {},
    )  # fmt: skip


def report_of(*ranks):
    merger = Merger(len(ranks))
    for rank, run in enumerate(ranks):
        merger.add(decode(encode(summarize(run, rank, len(ranks)))))
    return Report(with_job(ranks[0], merger.job()))


def loud(report):
    return {f.code: f for f in report.findings if f.code.startswith("GS6")}


def test_ranks_that_agree_give_no_finding():
    assert loud(report_of(*[run_of({"a": 1.0, "b": 2.0})] * 4)) == {}


def test_order_of_ranks_does_not_matter():
    runs = [run_of({"a": 1.0 + rank, "b": None if rank == 2 else 1.0}) for rank in range(6)]
    summaries = [summarize(run, rank, 6) for rank, run in enumerate(runs)]
    jobs = []
    for seed in range(3):
        random.Random(seed).shuffle(summaries)
        merger = Merger(6)
        for summary in summaries:
            merger.add(summary)
        jobs.append(merger.job())

    assert jobs[0] == jobs[1] == jobs[2]
    assert jobs[0].parameters[1].first_without == (2,)


def test_rank_that_is_not_finite_is_named():
    found = loud(report_of(run_of({"a": 1.0}), run_of({"a": math.nan}, applied={"a": 1.0}), run_of({"a": 1.0})))

    assert found["GS603"].severity == "error"
    assert "rank 1 alone" in found["GS603"].message


def test_norms_of_another_step_are_not_compared():
    late = replace(run_of({"a": 9.0}), events=(OptimizerStep(1, 3, 3, 0, (), {0: 9.0}, ratios={0: 0.1}),))

    assert "GS602" in loud(report_of(run_of({"a": 1.0}), run_of({"a": 9.0})))
    assert loud(report_of(run_of({"a": 1.0}), late)) == {}


def test_stages_of_a_pipeline_do_not_disagree():
    first, second = run_of({"stage0.a": 1.0, "stage0.b": 2.0}), run_of({"stage1.a": 5.0})
    report = report_of(first, second, first, second)

    assert loud(report) == {}
    assert [across.ranks for across in report.run.job.parameters] == [2, 2, 2]


def test_part_that_is_zero_everywhere_is_zero():
    parts = {0: (2, 5), 1: (2, 5)}
    ranks = [run_of({"a": 0.0, "b": 0.0 if rank else 3.0}, parts=parts) for rank in range(2)]
    states = report_of(*ranks).states

    assert states[0] == "zero"
    assert states[1] == "flowing"


def test_first_ranks_are_named_and_the_others_counted():
    ranks = [run_of({"a": 1.0, "b": None}) for _ in range(40)] + [run_of({"a": 1.0, "b": 1.0})]
    message = loud(report_of(*ranks))["GS601"].message

    assert "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 32 more" in message


def test_job_is_kept_in_a_run_file(tmp_path):
    run = report_of(run_of({"a": 1.0}), run_of({"a": 2.0})).run
    write_run(tmp_path / "run.gradscope", run)

    assert read_run(tmp_path / "run.gradscope").job == run.job


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[::-1]])
def test_damaged_message_is_refused(damage):
    body = encode(summarize(run_of({"a": 1.0}), 0, 2))
    assert isinstance(decode(body), Summary)
    with pytest.raises(ValueError, match=r"."):
        decode(damage(body))
