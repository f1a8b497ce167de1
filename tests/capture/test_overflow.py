"""Zeros that descend from an Inf: blamed is the operation that overflowed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

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


def test_an_infinity_that_was_written_down_is_none():
    found = told(lambda hidden: hidden / torch.full_like(hidden, torch.inf), torch.float32)
    assert found
    assert not {f.cause for f in found} & {"half_overflow", "exp_overflow"}
