"""A factor of zero behind a dropout: what it hides is not the dropout's doing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope.session import Session


def causes(features, steps=6):
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(4, 8), nn.Linear(8, 2)
    with Session() as session:
        optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(decoder(features(encoder(torch.randn(6, 4)))), torch.arange(6) % 2).backward()
            optimizer.step()
    return {(f.model, f.cause) for f in session.report().findings}


@pytest.mark.parametrize(
    "features",
    [
        lambda h: h * 0.0,
        lambda h: nn.functional.dropout(h, 0.1) * 0.0,
        lambda h: nn.functional.dropout(h, 0.1) * torch.zeros(8),
        lambda h: nn.functional.dropout(h.relu(), 0.3) * (1 // 1000),
    ],
)
def test_the_factor_is_to_blame_for_both(features):
    assert causes(features) == {("encoder", "zero_multiplier"), ("decoder", "zero_multiplier")}


def test_a_mask_of_everything_is_still_told_as_one():
    everything = torch.ones(8, dtype=torch.bool)
    found = causes(lambda h: nn.functional.dropout(h, 0.1).masked_fill(everything, 0.0))
    assert found == {
        ("encoder", "masked"),
        ("decoder", "masked"),
    }


def test_dropout_alone_is_silent():
    assert causes(nn.Dropout(0.5)) == set()
