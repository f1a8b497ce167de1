"""Which turn of the loop it is, with and without optimizers, and stopping after so many."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.overrides import _get_current_function_mode

import gradscope
from gradscope.capture import continuous
from gradscope.errors import StopRun
from gradscope.session import Session


class ByHand:
    """Two models that are updated without an optimizer."""

    def __init__(self, clear: str) -> None:
        torch.manual_seed(0)
        self.models = nn.Linear(4, 3), nn.Linear(3, 1)
        self.clear = clear

    def run(self, steps: int, micro_batches: int = 1) -> None:
        first, second = self.models
        for _ in range(steps):
            for _ in range(micro_batches):
                second(first(torch.randn(8, 4))).pow(2).mean().backward()
            with torch.no_grad():
                for parameter in [*first.parameters(), *second.parameters()]:
                    parameter.sub_(0.01 * parameter.grad)
                    if self.clear == "none":
                        parameter.grad = None
                    else:
                        parameter.grad.zero_()


def with_optimizer(steps: int) -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).pow(2).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("clear", ["none", "zero"])
@pytest.mark.parametrize("trace", [True, False])
def test_turns_of_a_loop_that_updates_by_hand(clear, trace):
    loop = ByHand(clear)
    with Session() if trace else gradscope.watch(first=loop.models[0], second=loop.models[1]) as watching:
        loop.run(7)
        report = watching.report()

    assert (report.run.steps, report.run.backwards) == (7, 7)


def test_gradients_that_pile_up_are_one_turn():
    loop = ByHand("none")
    with gradscope.watch(first=loop.models[0], second=loop.models[1]) as scope:
        loop.run(3, micro_batches=4)

    assert (scope.report().run.steps, scope.report().run.backwards) == (3, 12)


def test_tracing_ends_without_an_optimizer(monkeypatch):
    monkeypatch.setattr(continuous, "CALM", 5)
    loop = ByHand("none")
    with Session() as session:
        loop.run(30)
        assert _get_current_function_mode() is None
        assert session._capture.tape is None
    report = session.report()

    assert report.run.steps == report.run.backwards == 30
    assert 5 <= report.run.traced <= 9


@pytest.mark.parametrize("calm", [3, 100], ids=["watching", "tracing"])
@pytest.mark.parametrize("train", [with_optimizer, ByHand("none").run, ByHand("zero").run], ids=["SGD", "none", "zero"])
def test_a_limit_is_kept_to_the_pass(train, calm, monkeypatch):
    monkeypatch.setattr(continuous, "CALM", calm)
    with Session(steps=12) as session:
        with pytest.raises(StopRun):
            train(50)
        report = session.report()

    assert (report.run.steps, report.run.backwards) == (12, 12)
