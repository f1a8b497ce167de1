"""Summaries of ranks, put together without any process."""

from __future__ import annotations

import math
import random
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from gradscope.diagnosis.explained import explained
from gradscope.diagnosis.finding import Evidence, Finding, Severity
from gradscope.job import Merger, Summary, decode, encode, summarize, with_job
from gradscope.records import (
    Cut,
    Edge,
    Graph,
    Group,
    Job,
    Location,
    Model,
    Node,
    Optimizer,
    OptimizerStep,
    Origin,
    Owner,
    Parameter,
    RankRow,
    Run,
    Tally,
    Write,
)
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


def spoilt_from(step, *, rank, backwards=20):
    """A rank whose gradients are not finite from this step on; `measured` passes are all."""
    run = run_of({"a": math.nan}, rank=rank, applied={"a": 1.0})
    tally = Tally(
        backwards=backwards, measured=backwards, nonfinite=backwards - step, first_nonfinite=step,
        first_nonfinite_step=step, last_backward=4, norm_last=math.nan,
    )  # fmt: skip
    line = Location("train.py", 12, "", "x = x / x.sum()")
    origin = Origin("nan", "division_by_zero", frozenset({0}), (line,), "div", step, step)
    return replace(run, tallies={0: tally}, origins=(origin,))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_rank_that_had_a_nan_first_is_named_with_its_line(order):
    ranks = [spoilt_from(13, rank=0), spoilt_from(12, rank=1), spoilt_from(13, rank=2)]
    merger = Merger(3)
    for rank in order:
        merger.add(decode(encode(summarize(ranks[rank], rank, 3))))
    report = Report(with_job(ranks[0], merger.job()))
    (finding,) = [f for f in report.findings if f.severity == "error"]

    assert finding.code == "GS603"
    assert "first on rank 1 at step 12" in finding.message
    assert (str(finding.location), finding.steps) == ("train.py:12", (12, 12))


def test_where_a_rank_did_not_measure_each_pass_nobody_was_first():
    ranks = [spoilt_from(13, rank=0), spoilt_from(12, rank=1)]
    thin = replace(ranks[0].tallies[0], measured=3)
    report = report_of(replace(ranks[0], tallies={0: thin}), ranks[1])

    assert loud(report) == {}
    assert "GS301" in {f.code for f in report.findings}


def ended(rank, *, misses, backwards=4):
    """A rank that had a gradient in each pass, or in each but its last."""
    run = run_of({"a": 1.0, "b": 1.0}, rank=rank)
    whole = Tally(backwards=backwards, measured=backwards, last_backward=backwards - 1, norm_last=1.0)
    short = replace(whole, backwards=backwards - 1, measured=backwards - 1, last_backward=backwards - 2)
    return replace(run, backwards=backwards, tallies={0: whole, 1: short if misses else whole})


@pytest.mark.parametrize("failed", ["it failed with exit status 1", ""])
def test_what_a_rank_lacked_in_its_last_pass_is_told_where_the_job_failed(failed):
    merger = Merger(2)
    merger.add(summarize(ended(0, misses=False), 0, 2, missing="it was still running" if failed else ""))
    merger.add(summarize(ended(1, misses=True), 1, 2, missing=failed))
    report = Report(with_job(ended(0, misses=False), merger.job()))

    assert list(loud(report)) == (["GS601"] if failed else [])
    if failed:
        finding = loud(report)["GS601"]
        assert (finding.severity, finding.parameters) == ("error", ("b",))
        assert "rank 1 in the last backward pass" in finding.message


def test_a_job_that_lost_a_rank_is_not_called_well():
    merger = Merger(2)
    merger.add(summarize(ended(0, misses=False), 0, 2))
    merger.lost(1, "it failed with exit status 9")
    report = Report(with_job(ended(0, misses=False), merger.job()))
    text = str(report)

    assert text.startswith("! ")
    assert "rank 1: it failed with exit status 9" in text
    row = next(line for line in text.splitlines() if line.split()[:1] == ["1"])
    assert row.split()[1:5] == ["-"] * 4


def test_norms_of_another_step_are_not_compared():
    late = replace(run_of({"a": 9.0}), events=(OptimizerStep(1, 3, 3, 0, (), {0: 9.0}, ratios={0: 0.1}),))

    assert "GS602" in loud(report_of(run_of({"a": 1.0}), run_of({"a": 9.0})))
    assert loud(report_of(run_of({"a": 1.0}), late)) == {}


def test_stages_of_a_pipeline_do_not_disagree():
    first, second = run_of({"stage0.a": 1.0, "stage0.b": 2.0}), run_of({"stage1.a": 5.0})
    report = report_of(first, second, first, second)

    assert loud(report) == {}
    assert [across.ranks for across in report.run.job.parameters] == [2, 2, 2]


def test_stages_of_other_sizes_are_no_copies():
    one = run_of({"a": 1.0}, applied={"a": 1.0})
    other = replace(one, parameters={0: replace(one.parameters[0], shape=(9,))})
    far = replace(one, events=(replace(one.events[0], norms={0: 5.0}),))

    assert loud(report_of(one, other, far)) == {}
    assert set(loud(report_of(one, one, far))) == {"GS602"}


@pytest.mark.parametrize("everywhere", [False, True])
def test_weights_that_each_rank_puts_together_by_hand_do_not_drift(everywhere):
    """Local SGD: now and then each rank writes the average of all over its own."""
    runs = [run_of({"a": 1.0 + 4 * rank}) for rank in range(2)]
    by_hand = Write(2, 0, frozenset({0}), (), "value", "div_")
    written = [replace(run, events=(*run.events, by_hand)) for run in runs]

    assert ("GS602" in loud(report_of(*written))) is False
    loaded = [replace(run, events=(replace(by_hand, clock=0), *run.events)) for run in runs]
    assert "GS602" in loud(report_of(*loaded))
    assert ("GS602" in loud(report_of(written[0], written[1] if everywhere else runs[1]))) is not everywhere


def test_a_rank_that_runs_no_backward_pass_lacks_nothing():
    """It plays, evaluates or waits, and is sent the weights."""
    actor = replace(run_of({"a": None}, applied={"a": None}), backwards=0, steps=0, events=())

    report = report_of(run_of({"a": 1.0}), actor)
    assert loud(report) == {}
    assert report.run.job.rows[1].backwards == 0


def test_a_module_that_other_ranks_train_is_not_called_unused():
    mine = replace(run_of({"a": 1.0, "b": None}), never_used=frozenset({1}))
    mine = replace(mine, tallies={0: replace(mine.tallies[0], steps=5, trainable_steps=5),
                                  1: Tally(steps=5, steps_none=5, trainable_steps=5)})  # fmt: skip

    assert "GS102" in {f.code for f in report_of(mine, mine).findings}
    both = {f.code: f for f in report_of(mine, run_of({"a": 1.0, "b": 1.0})).findings}
    assert "GS102" not in both
    assert "rank 0" in both["GS601"].message


def test_a_rank_that_never_spoke_comes_before_one_that_failed():
    """Its neighbours fail because it is gone."""
    merger = Merger(2)
    merger.add(summarize(run_of({"a": 1.0}), 0, 2, missing="it failed with exit status 1"))
    merger.lost(1, "it did not report in time")

    assert merger.job().unheard.rank == 1


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


@pytest.mark.parametrize(("passes", "first"), [(5, 1), (6, 0)])
def test_a_rank_that_had_not_come_as_far_is_named_before_the_one_that_waited_for_it(passes, first):
    rows = (
        RankRow(0, backwards=6, missing="it failed with exit status 1"),
        RankRow(1, backwards=passes, missing="it was still running at train.py:9"),
    )
    assert Job(2, rows).unheard.rank == first


@pytest.mark.parametrize("told", ["it was still running at train.py:9", "it was told to end at train.py:9"])
def test_of_several_that_gave_up_waiting_the_one_they_waited_for_is_named(told):
    failed = [RankRow(rank, backwards=6, missing="it failed with exit status 1") for rank in range(3)]
    assert Job(4, (*failed, RankRow(3, backwards=5, missing=told))).unheard.rank == 3


def test_a_rank_with_more_batches_than_the_others_is_told_so():
    rows = (RankRow(0, backwards=9, missing="it failed with exit status 1"), *(RankRow(n, backwards=8) for n in (1, 2)))
    report = Report(replace(RUN, job=Job(3, rows)))
    assert "in backward pass 9 when the others had ended after 8" in " ".join(str(report).split())


def test_what_a_rank_traced_is_said_of_what_it_lacks():
    cut = Cut("detach", frozenset({1}), (Location("train.py", 14, "forward", "h = h.detach()"),), "detach", 0)
    lacking = replace(RUN, cuts=(cut,), tallies={0: RUN.tallies[0]})
    merger = Merger(2)
    for rank, run in enumerate((RUN, lacking)):
        merger.add(decode(encode(summarize(run, rank, 2))))
    (found,) = [f for f in Report(with_job(RUN, merger.job())).findings if f.code == "GS601"]
    assert (found.cause, found.location.line) == ("detach", 14)
    assert "on rank 1: detach() cuts its output out of the graph at train.py:14" in found.message


def test_where_nothing_was_traced_no_reason_is_claimed():
    merger = Merger(2)
    for rank, run in enumerate((RUN, replace(RUN, tallies={0: RUN.tallies[0]}))):
        merger.add(decode(encode(summarize(run, rank, 2))))
    (found,) = [f for f in Report(with_job(RUN, merger.job())).findings if f.code == "GS601"]
    assert "probably what these ranks compute never uses it" in found.message


RUN = Run(
    steps=9,
    backwards=9,
    models=(Model("m", "M", (0, 1)),),
    parameters={u: Parameter(u, (2,), "float32", "cpu", True, (Owner("m", f"p{u}"),)) for u in (0, 1)},
    tallies={u: Tally(backwards=9, measured=9, steps=9, norm_last=1.0) for u in (0, 1)},
)


def test_the_simulation_of_many_ranks_runs():
    merge = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "many_ranks.py"))["merge"]
    merge.__globals__["PARAMETERS"] = 50
    assert merge(4)


def idle(run):
    """The same rank with a learning rate of zero."""
    events = tuple(replace(run.events[0], clock=n, step=n, index=n, lrs=(0.0,)) for n in range(1, 6))
    return replace(run, events=events)


@pytest.mark.parametrize("alone", [1, 3])
def test_what_only_other_ranks_find_is_told_with_the_rank(alone):
    well = run_of({"a": 1.0, "b": 1.0})
    ranks = [idle(well) if rank == alone else well for rank in range(4)]
    (finding,) = report_of(*ranks).findings

    assert (finding.code, finding.severity, finding.model, finding.parameters) == ("GS504", "error", "net", ("a", "b"))
    assert finding.message.startswith(f"On rank {alone}: net is never updated")
    assert finding.ranks == (alone,)
    assert str(report_of(*ranks)).startswith(f"✗ On rank {alone}: net is never updated")


def test_what_every_rank_finds_is_told_once():
    ill = idle(run_of({"a": 1.0, "b": 1.0}))
    (finding,) = report_of(ill, ill, ill).findings

    assert finding.ranks == ()
    assert finding.message.startswith("net is never updated")


def test_ranks_that_find_alike_are_one_finding_in_any_order():
    well = run_of({"a": 1.0, "b": 1.0})
    ill = idle(well)
    told = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        merger = Merger(4)
        for rank in order:
            merger.add(summarize(ill if rank in (1, 3) else well, rank, 4))
        told.append(Report(with_job(well, merger.job())).findings)

    assert told[0] == told[1]
    assert told[0][0].message.startswith("On ranks 1, 3: ")


def test_a_rank_that_failed_tells_no_findings_of_its_own():
    well = run_of({"a": 1.0, "b": 1.0})
    merger = Merger(2)
    merger.add(summarize(well, 0, 2))
    merger.add(summarize(idle(well), 1, 2, missing="it failed with exit status 1"))

    assert Report(with_job(well, merger.job())).findings == ()


def test_what_a_finding_about_the_ranks_explains_is_not_told_again():
    """Rank 1 alone would say that nothing reaches b, and that its NaN is one."""
    report = report_of(run_of({"a": 1.0, "b": 1.0}), run_of({"a": math.nan, "b": None}, applied={"a": 1.0, "b": 1.0}))

    assert sorted(f.code for f in report.findings) == ["GS601", "GS603"]


def test_a_large_rank_is_the_reason_of_gradients_that_explode_for_no_certain_reason():
    large = Finding(
        "GS402",
        "exploding-gradient",
        Severity.ERROR,
        "net",
        ("a",),
        "flowing",
        "lr_too_large",
        Evidence.INFERRED,
        "",
        "",
    )
    rank = replace(large, code="GS603", severity=Severity.WARNING, cause="data_of_a_rank")
    seen = replace(large, evidence=Evidence.TRACED)

    assert explained([large, rank]) == [replace(rank, severity=Severity.ERROR)]
    assert explained([seen, rank]) == [seen, rank]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_the_line_of_a_rank_that_uses_it_is_told_where_the_one_that_reports_does_not(order):
    skips = run_of({"a": 1.0, "b": None})
    lines = [Location("train.py", 10 + rank, "", "b(x)") for rank in range(3)]
    ranks = [skips] + [
        replace(
            run_of({"a": 1.0, "b": 1.0}),
            graph=Graph((Node(0, "parameter", "b", uid=1), Node(1, "op", "b", location=lines[rank])), (Edge(0, 1),), 0),
        )
        for rank in (1, 2)
    ]
    merger = Merger(3)
    for rank in order:
        merger.add(decode(encode(summarize(ranks[rank], rank, 3))))
    (finding,) = Report(with_job(skips, merger.job())).findings

    assert finding.code == "GS601"
    assert finding.message.endswith("never uses it, as rank 1 does at train.py:11.")
    assert finding.location == lines[1]
