"""Why a gradient is zero: margins and ReLUs told apart, results that are constant by construction."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss, normalize, relu

import gradscope
from gradscope.session import Session

TARGET = torch.linspace(0.5, 2, 16)[:, None]
ZEROS = torch.zeros(1)


def findings(forward, steps=5):
    """Causes told of a network whose scores go into `forward`, beside one that learns."""
    torch.manual_seed(0)
    network, other = nn.Linear(3, 1), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*network.parameters(), *other.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(steps):
            x = torch.randn(16, 3)
            optimizer.zero_grad()
            (forward(network(x)) + mse_loss(other(x), TARGET)).backward()
            optimizer.step()
    return [finding.cause for finding in session.report().findings]


@pytest.mark.parametrize(
    "loss",
    [
        lambda s: relu(s - 50).mean(),
        lambda s: relu(s - 50).pow(2).mean(),
        lambda s: relu(-(s + 50)).square().sum(),
        lambda s: 0.1 * relu(s - s.flip(0) - 50 * TARGET).pow(2).mean(),
        lambda s: torch.clamp(s - 50, min=0).pow(2).mean(),
        lambda s: torch.maximum(s - 50, ZEROS).mean(),
        lambda s: torch.max(ZEROS, 2 * (s - 50)).pow(2).mean(),
    ],
)
def test_a_hinge_that_is_satisfied(loss):
    assert findings(loss) == ["satisfied_margin"]


def test_a_floor_above_zero_is_a_clamp():
    assert findings(lambda s: torch.clamp(s, min=50.0).mean()) == ["clamp_out_of_range"]


@pytest.mark.parametrize(
    "loss",
    [
        lambda s: relu(-s.exp()).sub(TARGET).pow(2).mean(),
        lambda s: relu(s - 50).sub(TARGET).pow(2).mean(),
        lambda s: mse_loss(relu(s - 50), TARGET),
        lambda s: relu(-s.exp()).pow(2).mean(),
    ],
)
def test_a_relu_whose_output_is_compared_is_dead(loss):
    assert findings(loss) == ["dead_relu"]


@pytest.mark.parametrize(
    "constant",
    [
        lambda s: s - s.mean(-1, keepdim=True),
        lambda s: s - s.mean(-1)[:, None],
        lambda s: 2 + s - s.amax(-1, keepdim=True),
        lambda s: (s - s.mean(1, keepdim=True)) / (s.std(1, keepdim=True, unbiased=False) + 1e-5),
        lambda s: s.exp() / s.exp().sum(1, keepdim=True),
        lambda s: (s - s.max(1, keepdim=True).values).exp() / (s - s.max(1, keepdim=True).values).exp().sum(1)[:, None],
        lambda s: s / s.norm(dim=1, keepdim=True),
        lambda s: normalize(s, dim=1),
    ],
)
def test_what_is_the_same_whatever_it_is_given(constant):
    assert findings(lambda s: mse_loss(constant(s), TARGET)) == ["constant_output"]


@pytest.mark.parametrize(
    "forward",
    [
        lambda s: s - s.detach(),
        lambda s: s + (s.round() - s).detach(),
        lambda s: s - s.mean(0, keepdim=True),
        lambda s: s * torch.sigmoid(s),
        lambda s: s / (1 + s.abs()),
        lambda s: s / s.detach().norm(dim=1, keepdim=True),
        lambda s: s + 3 * (s - s.mean(1, keepdim=True)),
    ],
)
def test_what_passes_a_gradient_is_not_told(forward):
    assert findings(lambda s: mse_loss(forward(s), TARGET)) == []


def test_one_constant_is_one_finding_for_all_it_robs():
    weight = nn.Parameter(torch.ones(1))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    network.register_parameter("scale", weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(5):
            s = network(torch.randn(16, 3))
            optimizer.zero_grad()
            mse_loss(weight * (s - s.mean(1, keepdim=True)), TARGET).backward()
            optimizer.step()
    [finding] = session.report().findings

    assert finding.cause == "constant_output"
    assert set(finding.parameters) == {"scale", "0.weight", "0.bias", "2.weight", "2.bias"}
    assert finding.location.text.startswith("mse_loss(weight * (s - s.mean")


@pytest.mark.parametrize("scale", [1.0, 1e5], ids=["ordinary weights", "large weights"])
@pytest.mark.parametrize(
    "total",
    [
        lambda y, t: mse_loss(y, t, reduction="sum"),
        lambda y, t: (y - t).pow(2).sum(),
        lambda y, t: (y - t).pow(2).sum(1).sum(),
    ],
)
def test_a_sum_is_blamed_where_its_mean_would_be_ordinary(total, scale):
    """Behind another term of the loss, and although the weights are large."""
    torch.manual_seed(0)
    network, other = nn.Linear(3, 500), nn.Linear(3, 1)
    nn.init.normal_(network.weight, std=3.0 * scale)
    optimizer = torch.optim.SGD([*network.parameters(), *other.parameters()], lr=1e-12)
    with Session() as session:
        for _ in range(5):
            x = torch.randn(400, 3)
            optimizer.zero_grad()
            (other(x).pow(2).mean() + total(network(x), torch.full((400, 500), 20.0))).backward()
            optimizer.step()
    causes = [finding.cause for finding in session.report().findings if finding.code == "GS402"]

    assert causes == ["sum_reduction" if scale == 1.0 else "large_init"]


class Adapted(nn.Module):
    """A low-rank adapter at its beginning: the one factor waits for the other to leave zero."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(3, 2, bias=False), nn.Linear(2, 1, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.up(self.down(x))


@pytest.mark.parametrize("moves", [True, False])
def test_zeros_are_told_without_any_optimizer(moves):
    """The weights are moved by hand; or only gradients are looked at: then zeros of a beginning stay, and are right."""
    torch.manual_seed(0)
    front, adapter, head = nn.Linear(3, 3), Adapted(), nn.Linear(3, 1)

    def step():
        x = torch.randn(16, 3)
        (head(front(x).round()) + adapter(x)).square().mean().backward()
        for parameter in [p for model in (front, adapter, head) for p in model.parameters()]:
            if moves:
                parameter.data -= 0.1 * parameter.grad
            parameter.grad = None

    report = gradscope.explain(step, repeat=6, front=front, adapter=adapter, head=head)

    assert [(finding.model, finding.cause) for finding in report.findings] == [("front", "zero_derivative")]
