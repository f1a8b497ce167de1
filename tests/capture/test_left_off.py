"""Gradients that a function switched off and left off, while the head goes on to learn inside enable_grad()."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope.session import Session


@pytest.fixture(autouse=True)
def grad_mode():
    yield
    torch.set_grad_enabled(True)


def evaluate(encoder):
    torch.set_grad_enabled(False)
    return encoder(torch.randn(2, 3)).mean().item()


def evaluate_and_restore(encoder):
    torch.set_grad_enabled(False)
    encoder(torch.randn(2, 3)).mean().item()
    torch.set_grad_enabled(True)


def encode(encoder, x, turn):
    """A schedule: the encoder trains in the first turns only."""
    if turn >= 4:
        torch.set_grad_enabled(False)
    z = encoder(x)
    torch.set_grad_enabled(True)
    return z


def trained(run_encoder, after):
    torch.manual_seed(0)
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 1)
    with Session() as session:
        optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.01)
        for turn in range(12):
            z = run_encoder(encoder, torch.randn(8, 3), turn)
            with torch.enable_grad():
                loss = head(z).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if turn % 4 == 3:
                after(encoder)
    return [(f.code, f.model, f.severity, f.cause) for f in session.report().findings]


def test_what_an_evaluation_left_off_is_a_warning():
    found = trained(lambda encoder, x, _: encoder(x), evaluate)
    assert found == [("GS104", "encoder", "warning", "no_grad")]


def test_what_it_switched_on_again_is_silent():
    assert trained(lambda encoder, x, _: encoder(x), evaluate_and_restore) == []


def test_a_schedule_is_no_warning():
    found = trained(encode, lambda _: None)
    assert found == [("GS104", "encoder", "info", "no_grad")]
