"""A long run keeps a sample of its middle, and counts what it does not keep."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

import gradscope
from gradscope.capture.events import BETWEEN, HEAD, TAIL
from gradscope.capture.sample import Sample, _chosen
from gradscope.render.table import flow_table
from gradscope.report import Report


def fill(count: int, most: int = 50) -> Sample[int]:
    sample: Sample[int] = Sample(lambda _: 1, most, 10**9)
    for number in range(count):
        sample.add(number, number)
    return sample


@pytest.mark.parametrize("count", [10, 51, 1_000, 12_345])
def test_sample_is_small_and_spread_over_everything(count):
    sample = fill(count)
    numbers = [number for number, _ in sample.kept]
    width = 2**sample.level

    assert len(numbers) <= 50
    assert len(numbers) >= min(count, 50) // 2
    assert [n // width for n in numbers[:-1]] == list(range(len(numbers) - 1))  # one of each block


@pytest.mark.parametrize("rhythm", [2, 3, 4, 5, 8])
def test_no_rhythm_meets_the_sample(rhythm):
    """What happens at every second pass is in about every second event of the sample."""
    hits = sum(number % rhythm == 0 for number, _ in fill(100_000, most=2_000).kept)

    assert hits / len(fill(100_000, most=2_000).kept) == pytest.approx(1 / rhythm, rel=0.2)


def test_what_is_kept_at_one_width_was_kept_at_the_one_before():
    for number in range(4096):
        levels = [all(_chosen(number, at) for at in range(1, level + 1)) for level in range(1, 8)]
        assert levels == sorted(levels, reverse=True)


def test_numbers_are_bounded_too():
    sample: Sample[int] = Sample(lambda _: 1000, 50, 10_000)
    for number in range(500):
        sample.add(number, number)

    assert len(sample.kept) <= 10


@pytest.fixture(scope="module")
def long_run():
    """`late` is trained in the middle only, `rare` by a line of its own that runs once."""
    torch.manual_seed(0)
    head, late, rare = (torch.nn.Linear(2, 2) for _ in range(3))
    optimizer = torch.optim.SGD([*head.parameters(), *late.parameters(), *rare.parameters()], lr=0.01)
    with gradscope.watch(head=head, late=late, rare=rare) as scope:
        for step in scope.steps(range(1000)):
            x = torch.ones(1, 2)
            optimizer.zero_grad()
            if step == 501:
                rare(x).sum().backward()
            loss = head(x).sum()
            if 450 < step < 650:
                loss = loss + late(x).sum()
            loss.backward()
            optimizer.step()
        return scope.report()


def test_the_middle_of_a_long_run_is_there(long_run):
    run = long_run.run
    indexes = [event.index for event in run.passes]
    late = set(run.models[1].parameters)
    steps = [event.step for event in run.passes if late & event.norms.keys()]

    assert run.backwards == 1001
    assert len(run.events) <= HEAD + TAIL
    assert len(run.between) <= 2 * BETWEEN
    assert indexes == sorted(set(indexes))
    assert max(b - a for a, b in itertools.pairwise(indexes)) < 8
    assert len(steps) > 30
    assert 450 < min(steps) < max(steps) < 650
    assert {event.step for event in run.updates} >= {0, 300, 500, 950}


def test_flow_counts_every_pass(long_run):
    usual, rare = sorted(long_run.flow, key=lambda row: -row.count)

    assert (usual.count, rare.count) == (1000, 1)
    assert usual.reached == {"head", "late"}
    assert usual.models["late"] is not None
    assert rare.reached == {"rare"}
    assert {m.name: m.grad_norm is not None for m in long_run.models} == {"head": True, "late": True, "rare": True}


def test_a_norm_that_was_not_kept_is_no_dash(long_run):
    report = Report(replace(long_run.run, between=()))
    rare = next(row for row in report.flow if row.count == 1)
    cells = [[cell.text for cell in row] for row in flow_table(report, report.models).rows]

    assert rare.models == {"head": None, "late": None, "rare": None}
    assert [row[-3:] for row in cells if row[2] == "1"] == [["-", "-", "not kept"]]
