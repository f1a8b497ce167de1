"""Plain SGD whose steps are less than float32 resolves is told; optimizers and schedules that are meant so are not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope


def told(build, *, scale=1e-9, schedule=None, met=False, steps=12):
    """Codes of what is said of a network whose loss is scaled down."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = build(net.parameters())
    scheduler = schedule(optimizer) if schedule is not None else None
    inputs = torch.randn(32, 6)
    targets = net(inputs).detach() + 1e-3 if met else torch.randn(32, 3)
    with gradscope.watch(net=net, budget=None) as scope:
        for _ in scope.steps(range(steps)):
            optimizer.zero_grad()
            (scale * (net(inputs) - targets).square().mean()).backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
    return [(finding.code, finding.model) for finding in scope.report().findings]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.5, momentum=0.9)


def test_steps_below_the_resolution_are_told():
    assert told(sgd, scale=3e-8) == [("GS401", "net")]


def test_the_message_says_how_little():
    torch.manual_seed(0)
    net = nn.Linear(6, 3)
    optimizer = sgd(net.parameters())
    with gradscope.watch(net=net, budget=None) as scope:
        for _ in scope.steps(range(6)):
            optimizer.zero_grad()
            (3e-8 * net(torch.randn(8, 6)).square().mean()).backward()
            optimizer.step()
    (finding,) = scope.report().findings

    assert "moves its weights by less than float32 resolves" in finding.message
    assert finding.cause == "tiny_loss_scale"
    assert "eps" not in finding.message


@pytest.mark.parametrize(
    "options",
    [
        {"build": lambda p: torch.optim.Adam(p, lr=1e-3), "scale": 1e-5},
        {"build": sgd, "scale": 1e-2},
        {"build": sgd, "scale": 1.0, "met": True},
    ],
    ids=["Adam makes up for it", "small and large enough", "nearly met"],
)
def test_what_moves_or_is_meant_so_is_not_told(options):
    assert told(**options) == []


def test_a_warm_up_is_not_judged_by_its_first_steps():
    warm = lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1e-5 * 10.0 ** min(step, 5))  # noqa: E731

    assert told(sgd, scale=1e-3, schedule=warm, steps=60) == []
