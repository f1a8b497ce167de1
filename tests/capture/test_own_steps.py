"""NaN that the step of an optimizer makes: told with its line where torch did not write it, and only there."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.own_steps import OwnStep
from gradscope.capture.parameters import Registry


class Normed(torch.optim.Optimizer):
    """Steps by the gradient over its norm, which is zero by zero where there is no gradient."""

    def __init__(self, params, eps=0.0, momentum=0.9):
        super().__init__(params, {"lr": 0.1})
        self.eps, self.momentum = eps, momentum

    @torch.no_grad()
    def step(self, closure=None):
        for param in self.param_groups[0]["params"]:
            state = self.state.setdefault(param, {"buffer": torch.zeros_like(param)})
            state["buffer"].lerp_(param.grad, 1 - self.momentum)
            update = state["buffer"] / (state["buffer"].norm() + self.eps)
            param.add_(update, alpha=-0.1)


def report_of(optimizer_of, spoil=None, steps=4):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    nn.init.zeros_(net[2].weight)  # so that the first gradient of what is before it is zero
    optimizer = optimizer_of(net.parameters())
    turn = iter(range(steps))

    def step():
        loss = net(torch.randn(8, 4)).sub(1).pow(2).mean()
        if next(turn) == spoil:
            loss = loss + (net[0].bias * 0).sum().sqrt()  # finite, with a NaN as gradient
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return gradscope.explain(step, net=net, repeat=steps), net


def nonfinite(report):
    return [f for f in report.findings if f.code == "GS301"]


def test_the_line_of_ones_own_optimizer_is_told():
    report, _ = report_of(Normed)
    found = nonfinite(report)
    assert {f.cause for f in found} <= {"division_by_zero", "norm_division_by_zero"}
    assert {f.location.text for f in found} == {'update = state["buffer"] / (state["buffer"].norm() + self.eps)'}
    assert "the step of Normed" in found[0].detail


@pytest.mark.parametrize("spoil", [0, 2])
def test_a_nan_that_came_with_the_gradient_is_not_of_the_step(spoil):
    report, _ = report_of(lambda params: Normed(params, eps=1e-8), spoil)
    assert all("step of" not in f.detail for f in nonfinite(report))
    assert {f.location.text for f in nonfinite(report)} == {
        "loss = loss + (net[0].bias * 0).sum().sqrt()  # finite, with a NaN as gradient"
    }


def test_a_step_that_is_watched_gives_the_same_weights():
    _, watched = report_of(lambda params: Normed(params, eps=1e-8))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    nn.init.zeros_(net[2].weight)
    optimizer = Normed(net.parameters(), eps=1e-8)
    for _ in range(4):
        loss = net(torch.randn(8, 4)).sub(1).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), watched.parameters(), strict=True))


def test_an_eps_of_zero_is_told_of_torchs_own():
    report, _ = report_of(lambda params: torch.optim.Adam(params, eps=0.0))
    assert {f.cause for f in nonfinite(report)} == {"division_by_zero"}
    assert "eps=0 of Adam is zero" in nonfinite(report)[0].message


def test_an_ordinary_eps_is_not():
    report, _ = report_of(torch.optim.Adam, spoil=2)
    assert "eps=" not in nonfinite(report)[0].message


@pytest.mark.parametrize(
    ("func", "held"),
    [(torch.Tensor.mul_, "value"), (torch.Tensor.grad.__get__, "grad")],
)
def test_what_was_nan_before_the_step_is_not_born_in_it(func, held):
    """A buffer that an untraced step spoilt, and a gradient that is read."""
    param = nn.Parameter(torch.ones(2))
    broken = torch.full((2,), float("nan"))
    if held == "grad":
        param.grad = broken
    own = OwnStep(Normed([param]))
    own.run(sys._getframe(), func, (param,) if held == "grad" else (broken, 0.5), {})
    with torch.no_grad():
        param.fill_(float("nan"))
    registry = Registry()
    uid = registry.add(param)
    assert own.written(registry, [uid]) == []
