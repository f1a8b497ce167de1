"""The records of a run: what they take is told, and does not grow with the run."""

from __future__ import annotations

import torch
from torch import nn

import gradscope
from gradscope.capture import events
from gradscope.capture.memory import bytes_of
from gradscope.records.columns import Cohort, Column


def test_numbers_are_counted_once_and_nothing_of_the_users():
    cohort = Cohort(range(1000))
    one = bytes_of(Column(cohort, [0.5] * 1000))
    two = bytes_of(Column(cohort, [0.5] * 1000), Column(cohort, [0.25] * 1000))
    assert 8000 <= two - one < 8500
    assert bytes_of([torch.zeros(10_000), nn.Linear(100, 100)]) < 200


def test_a_longer_run_takes_no_more(monkeypatch):
    for ring in ("HEAD", "TAIL", "BETWEEN"):
        monkeypatch.setattr(events, ring, 20)
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    sizes = []
    with gradscope.watch(model=model) as scope:
        for turn in scope.steps(range(4000)):
            optimizer.zero_grad()
            model(torch.ones(1, 4)).sum().backward()
            optimizer.step()
            if turn + 1 in (1000, 2000, 4000):
                sizes.append(scope.report().run.cost.bytes)
    assert min(sizes) > 10_000
    assert max(sizes) < 1.5 * min(sizes)
