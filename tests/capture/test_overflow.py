"""Zeros that descend from an Inf: blamed is the operation that overflowed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope.capture.nonfinite_causes import forward_cause
from gradscope.session import Session


def told(normalise, dtype):
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(4, 8).to(dtype), nn.Linear(8, 1).to(dtype)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(6):
            hidden = encoder(torch.randn(16, 4).to(dtype))
            optimizer.zero_grad()
            (decoder(normalise(hidden)).float() - 1).pow(2).mean().backward()
            optimizer.step()
    return [f for f in session.report().findings if f.code == "GS201"]


def energy(hidden):
    energy = 1e4 * (1 + hidden.pow(2)).sum(-1, keepdim=True)  # overflows
    return hidden / (energy + 1).sqrt()


def exponential(hidden):
    scale = (1000 * (1 + hidden.detach().pow(2))).exp()  # overflows
    return hidden / scale


@pytest.mark.parametrize(
    ("normalise", "dtype", "cause"),
    [(energy, torch.float16, "half_overflow"), (exponential, torch.float32, "exp_overflow")],
)
def test_the_overflow_is_blamed(normalise, dtype, cause):
    found = told(normalise, dtype)
    assert found
    assert {f.cause for f in found} == {cause}
    assert all(f.location.text.endswith("# overflows") for f in found)


def test_a_power_of_half_precision_that_overflows_before_others_explode():
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(4, 64), nn.Linear(64, 2)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1)
    with Session() as session:
        for _ in range(6):
            hidden = encoder(500 * torch.randn(8, 4))
            energy = hidden.half().pow(2).mean(1).float()  # overflows
            optimizer.zero_grad()
            (decoder(hidden / (energy.unsqueeze(1) + 1)).pow(2).mean() + energy.mean()).backward()
            optimizer.step()
    found = [f for f in session.report().findings if f.code == "GS301"]
    assert [(f.model, f.cause) for f in found] == [("decoder", "half_overflow")]
    assert found[0].location.text.endswith("# overflows")
    assert "after others at step" in found[0].message


@pytest.mark.parametrize(
    ("name", "args", "half", "cause"),
    [
        ("pow", (torch.tensor([-3e4]), 2), True, "half_overflow"),
        ("pow", (torch.tensor([-1e30]), 2), False, "exp_overflow"),
        ("pow", (torch.tensor([-1.0]), 0.5), False, "pow_domain"),
        ("pow", (torch.tensor([0.0]), -1), False, "pow_domain"),
        ("__rpow__", (torch.tensor([1e4]), 2), False, "exp_overflow"),
        ("mse_loss", (torch.tensor([1e30]), torch.tensor([0.0])), False, "exp_overflow"),
        ("mse_loss", (torch.tensor([300.0]), torch.tensor([0.0])), True, "half_overflow"),
    ],
)
def test_an_overflow_is_told_from_the_edge_of_a_domain(name, args, half, cause):
    assert forward_cause(name, args, set(), half, "", only_inf=cause != "pow_domain") == cause


def test_an_infinity_that_was_written_down_is_none():
    found = told(lambda hidden: hidden / torch.full_like(hidden, torch.inf), torch.float32)
    assert found
    assert not {f.cause for f in found} & {"half_overflow", "exp_overflow"}
