"""A summary tells what its own step delivered, and under its own number."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import meter, stepping


def norm(module: nn.Module) -> float:
    return sum(p.grad.pow(2).sum().item() for p in module.parameters()) ** 0.5


def run(turn, steps=6, **options):
    """Summaries of some steps of `turn(number, encoder, decoder, optimizer)`, and what the decoder's norms were."""
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    told, norms = [], []
    with gradscope.watch(encoder=encoder, decoder=decoder, **options) as scope:
        scope.on_step(told.append)
        for number in scope.steps(range(steps)):
            optimizer.zero_grad()
            turn(number, encoder, decoder, optimizer)
            norms.append(norm(decoder))
    return told, norms


def cut_from_the_third(number, encoder, decoder, optimizer):
    hidden = encoder(torch.randn(3, 4))
    decoder(hidden.detach() if number >= 3 else hidden).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("device", ["cpu", "far"])
def test_a_gradient_that_stopped_has_no_size(device, monkeypatch):
    monkeypatch.setattr(meter, "on_cpu", lambda tensors: device == "cpu")
    told, norms = run(cut_from_the_third)

    assert [summary.step for summary in told] == list(range(6))
    assert [summary.grad_norms["encoder"] is not None for summary in told] == [True] * 3 + [False] * 3
    assert [summary.grad_norms["decoder"] for summary in told] == pytest.approx(norms)


def test_numbers_of_a_device_are_told_one_step_late(monkeypatch):
    monkeypatch.setattr(meter, "on_cpu", lambda tensors: False)
    seen, told = [], []
    net = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with gradscope.watch(net=net) as scope:
        scope.on_step(lambda summary: told.append(summary.step))
        for _ in scope.steps(range(3)):
            seen.append(list(told))
            optimizer.zero_grad()
            net(torch.randn(3, 4)).sum().backward()
            optimizer.step()
        seen.append(list(told))
        scope.report()
        seen.append(list(told))

    assert seen == [[], [], [0], [0, 1], [0, 1, 2]]


def test_what_was_not_measured_in_a_step_is_not_told_there(monkeypatch):
    monkeypatch.setattr(stepping, "THEN", 4)
    told, _ = run(cut_from_the_third, steps=9, every=3)

    assert [s.step for s in told if s.grad_norms["decoder"] is not None] == [0, 3, 6]
    assert {0, 1, 2, 4, 8} <= {s.step for s in told if s.update_ratios["decoder"] is not None}
    assert told[7].update_ratios == {"encoder": None, "decoder": None}


def test_a_part_of_a_model_is_not_its_norm():
    def two_lines(number, encoder, decoder, optimizer):
        if number:  # so that of the two lines one is measured at the even steps, the other at the odd ones
            encoder.bias.sum().backward()
        (encoder.weight.sum() + decoder(torch.ones(1, 4)).sum()).backward()
        optimizer.step()

    told, _ = run(two_lines, every=2)

    assert [summary.grad_norms["encoder"] for summary in told[1:]] == [None] * 5
    assert [summary.grad_norms["decoder"] is not None for summary in told] == [True, False] * 3
