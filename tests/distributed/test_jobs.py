"""Several processes on gloo: what each rank sees of its own gradients, and what they say together."""

from __future__ import annotations

import os
from importlib.metadata import version

import pytest

sharded = pytest.mark.skipif(version("torch").startswith("2.6."), reason="fully_shard of torch 2.6 needs a GPU")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="ranks are forked")

DDP = ("plain", "view", "static", "static_view")
ALONE = "report(ranks=True), called on every rank, asks the others"


def codes(told):
    return [finding["code"] for finding in told["json"]["findings"]]


def finding(told, code):
    return next(f for f in told["json"]["findings"] if f["code"] == code)


# --- DistributedDataParallel ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", DDP)
def test_local_and_averaged_norms_are_two_facts(job, form):
    for rank in job("ddp"):
        told = rank[form]
        assert told["backwards"][0] == pytest.approx(told["own"], rel=1e-5)
        given = [{name.removeprefix("module."): n for name, n in step.items()} for step in told["given"]]
        assert told["applied"][:3] == [pytest.approx(step, rel=1e-5) for step in given[:3]]
        assert told["applied"][0] != pytest.approx(told["own"], rel=1e-2)


@pytest.mark.parametrize("form", DDP)
def test_averaging_is_no_clearing_and_no_finding(job, form):
    for rank in job("ddp"):
        assert rank[form]["clears"] == 3  # the zero_grad() of each step but the first
        assert codes(rank[form]) == []
        assert ALONE in rank[form]["json"]["notes"][0]


@pytest.mark.parametrize("form", ["unused", "unused_view"])
def test_rank_without_gradient_is_named_on_every_rank(job, form):
    for rank in job("ddp"):
        told = rank[form]
        assert codes(told) == ["GS601"]
        assert finding(told, "GS601")["parameters"] == ["b.weight", "b.bias"]
        assert "rank 1" in finding(told, "GS601")["message"]
        assert [row["parameters"] for row in told["json"]["ranks"]["rows"]] == [6, 4]


def test_wrapper_leaves_the_users_names(job):
    for rank in job("ddp"):
        names = ["a.bias", "a.weight", "b.bias", "b.weight", "body.bias", "body.weight"]
        assert rank["unused"]["names"] == rank["plain"]["names"] == names
        assert rank["unused"]["json"]["models"][0]["class"] == "Heads"


def test_accumulation_without_sync(job):
    for rank in job("ddp"):
        assert len(rank["no_sync"]["backwards"]) == 12
        assert rank["no_sync"]["clears"] == 3
        assert codes(rank["no_sync"]) == []


def test_traced_steps_see_local_norms_too(job):
    for rank in job("ddp"):
        traced, own = rank["explain"]["backwards"][0], rank["plain"]["own"]
        assert traced == pytest.approx(own, rel=1e-5)


def test_training_is_bit_identical(job):
    assert all(rank["same"] for rank in job("ddp"))


# --- ranks that disagree, are late, or do not ask ------------------------------------------------------------


def test_model_that_nothing_averages(job):
    for rank in job("apart"):
        assert codes(rank["unwrapped"]) == ["GS602"]
        assert len(finding(rank["unwrapped"], "GS602")["parameters"]) == 6
        assert [row["missing"] for row in rank["unwrapped"]["json"]["ranks"]["rows"]] == ["", ""]


def test_rank_whose_gradients_stand_out(job):
    for rank in job("apart"):
        assert "GS603" in codes(rank["outlier"])
        assert "rank 1" in finding(rank["outlier"], "GS603")["message"]


def test_the_rank_that_had_a_nan_first_is_named_though_all_have_it_then(job):
    for rank in job("faults"):
        loud = [f for f in rank["nan"]["json"]["findings"] if f["severity"] == "error"]
        assert [f["code"] for f in loud] == ["GS603"]
        assert "first on rank 1 at step 3" in loud[0]["message"]


def test_an_optimizer_that_shards_itself_steps_once(job):
    for rank in job("faults"):
        assert codes(rank["zero"]) == []


def test_one_rank_alone_does_not_wait_for_ever(job):
    alone = job("apart")[0]
    missing = [row["missing"] for row in alone["nobody"]["json"]["ranks"]["rows"]]
    assert missing[0] == ""
    assert missing[1].startswith("it did not report in time")
    assert alone["nobody"]["json"]["ranks"]["heard"] == 1
    assert "ranks" not in alone["alone"]["json"]


def test_rank_that_was_too_late_is_told(job):
    late = job("apart")[1]
    assert "rank 1 reported too late to be counted by rank 0" in late["too_late"]["json"]["notes"]


def test_dead_rank_is_told_by_all_others(job):
    told = job("killed")
    assert told[3] == {}
    for rank in told[:3]:
        missing = [row["missing"] for row in rank["report"]["json"]["ranks"]["rows"]]
        assert missing[:3] == ["", "", ""]
        assert missing[3].startswith("it did not report in time: it has died")


# --- fully_shard ---------------------------------------------------------------------------------------------


@sharded
@pytest.mark.parametrize("form", ["before", "after", "mesh"])
def test_norms_of_whole_parameters_from_their_parts(job, form):
    """Against the same training in one process; `mesh` holds each part twice."""
    for rank in job("sharded"):
        told = rank[form]
        assert told["norms"] == pytest.approx(rank["whole"], rel=1e-5)
        assert set(told["states"].values()) == {"flowing"}
        total = sum(n * n for n in rank["whole"].values()) ** 0.5
        assert told["json"]["models"][0]["grad_norm"] == pytest.approx(total, rel=1e-5)
        assert told["json"]["models"][0]["class"] == "Heads"
        assert codes(told) == []


@sharded
@pytest.mark.parametrize("form", ["before_alone", "after_alone", "traced"])
def test_empty_part_is_no_zero_gradient(job, form):
    """Rank 3 of 4 holds nothing of a tensor with one row."""
    told = job("sharded")[3][form]
    assert set(told["states"].values()) == {"flowing"}
    assert told["norms"]["a.bias"] is None
    assert codes(told) == []


@sharded
def test_stand_ins_of_fully_shard_are_no_parameters(job):
    for rank in job("sharded"):
        assert len(rank["traced"]["names"]) == 6


@sharded
def test_blocks_that_are_sharded_one_by_one_are_drawn_alive(job):
    for rank in job("sharded"):
        assert all(rank["drawn"]["live"])
        assert "reaches 8 of 8 parameters" in rank["drawn"]["words"]


@sharded
@pytest.mark.parametrize("norm", ["0.5", "1e-12"])
def test_split_gradients_are_measured_before_they_are_clipped(job, norm):
    """The last of them come after the engine's pass, from two models that are split; it is one pass."""
    for rank in job("sharded"):
        told = rank[f"clipped_{norm}"]
        assert told["json"]["models"][0]["grad_norm"] == pytest.approx(told["before"], rel=1e-5)
        assert len(told["backwards"]) == 4
        assert {len(norms) for norms in told["backwards"]} == {8}


@sharded
def test_split_gradients_that_are_clipped_to_nothing_are_told(job):
    """Of the heads, with one row, only rank 0 holds something."""
    for rank, held in zip(job("sharded"), (6, 2, 2, 2), strict=False):
        assert codes(rank["clipped_0.5"]) == []
        assert codes(rank["clipped_1e-12"]) == ["GS505"]
        found = finding(rank["clipped_1e-12"], "GS505")
        assert (found["model"], found["evidence"], len(found["parameters"])) == ("front", "inferred", held)


@sharded
def test_split_gradients_that_are_zeroed_in_place_are_not_stale(job):
    """What FSDP2 adds to a gradient does not count as a version of it."""
    for rank in job("sharded"):
        assert codes(rank["kept_False"]) == []
        assert codes(rank["kept_True"]) == ["GS506", "GS506"]


@sharded
def test_tensor_parallel_parameters_count_as_parts(job):
    for rank in job("sharded"):
        norms = rank["tensor"]["norms"]
        assert norms["body.weight"] is not None
        assert norms == pytest.approx(job("sharded")[0]["tensor"]["norms"])
        assert codes(rank["tensor"]) == ["GS101"]  # the heads, which this job leaves out


# --- pipelines -----------------------------------------------------------------------------------------------


def test_stages_of_a_pipeline_are_left_as_they_are(job):
    for rank in job("pipeline"):
        assert rank["same"] == [True, True]
        for how in ("watched", "traced"):
            assert codes(rank[how]) == []
            assert set(rank[how]["states"].values()) == {"flowing"}
            assert any("no gradient is followed from one stage to the next" in n for n in rank[how]["json"]["notes"])


def test_what_a_later_stage_of_a_pipeline_loses_is_told_beside_what_an_earlier_one_lacks(job):
    first, last = (rank["dead"]["json"]["findings"] for rank in job("pipeline"))

    assert {f["cause"] for f in last if "On rank" not in f["message"]} == {"dead_relu"}
    told = next(f for f in first if f["message"].startswith("On rank 1: "))
    assert (told["code"], told["cause"]) == ("GS201", "dead_relu")
    assert told["location"]["text"] == "return self.layer(x).relu()"
