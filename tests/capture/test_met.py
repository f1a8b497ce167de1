"""Losses that are exactly zero: a target that is met warns, one that is the prediction itself is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from gradscope.session import Session


def findings(loss, steps=6, bias=None):
    """What is told of one network whose outputs are what `loss` makes of them."""
    torch.manual_seed(0)
    net, x = nn.Linear(3, 1), torch.ones(4, 3)
    if bias is not None:
        nn.init.zeros_(net.weight)
        nn.init.constant_(net.bias, bias)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net(x)).backward()
            optimizer.step()
    return session.report().findings


def line_of(function, text):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    start = function.__code__.co_firstlineno - 1
    return next(number for number, line in enumerate(lines[start:], start + 1) if text in line)


def mean_squared(out):
    return mse_loss(out, out.detach())  # itself


def by_hand(out):
    target = out.detach()  # itself
    return (out - target).pow(2).mean()


def absolute(out):
    return l1_loss(out, out.clone().detach())  # itself


def size(out):
    return (out - out.data).norm()  # itself


def literally(out):
    return mse_loss(out, out)  # itself


@pytest.mark.parametrize("loss", [mean_squared, by_hand, absolute, size, literally])
def test_a_prediction_that_is_its_own_target_is_an_error(loss):
    (finding,) = findings(loss)

    assert (finding.code, finding.severity) == ("GS201", "error")
    assert "compared with itself" in finding.message
    assert finding.location.line == line_of(loss, "# itself")


@pytest.mark.parametrize(
    "loss", [lambda out: mse_loss(out, torch.full((4, 1), 2.0)), lambda out: (out - 2).abs().sum()]
)
def test_a_target_that_is_met_from_the_first_step_warns(loss):
    (finding,) = findings(loss, bias=2.0)

    assert (finding.code, finding.severity) == ("GS201", "warning")
    assert "equals the target" in finding.message


def test_a_target_that_is_met_after_training_is_no_finding():
    assert findings(lambda out: (out - 2).pow(2).mean(), bias=1.5, steps=3000) == ()


def test_an_output_multiplied_by_zero_meets_no_target():
    (finding,) = findings(lambda out: (out * 0.0).pow(2).mean())

    assert (finding.severity, finding.cause) == ("error", "zero_multiplier")
