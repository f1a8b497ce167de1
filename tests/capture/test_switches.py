"""Who turned gradients off: the switch that took them from on to off, whatever is thrown inside."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributions import Categorical

import gradscope

ENCODER, DECODER = nn.Linear(4, 3), nn.Linear(3, 1)


def blamed(encode):
    """The text of the line that is blamed for an encoder without gradient, and the cause."""
    optimizer = torch.optim.SGD([*ENCODER.parameters(), *DECODER.parameters()], lr=0.01)

    def step():
        optimizer.zero_grad()
        DECODER(encode()).pow(2).mean().backward()
        optimizer.step()

    (finding,) = [f for f in gradscope.explain(step, encoder=ENCODER, decoder=DECODER).findings if f.model == "encoder"]
    assert finding.location is not None
    return finding.location.text, finding.cause


@torch.no_grad()  # outer
def draws_first():
    code = ENCODER(torch.randn(8, 4))
    drawn = Categorical(logits=code).sample()  # turns gradients on and off again inside
    return ENCODER(torch.randn(8, 4)) + drawn[:, None]


@torch.no_grad()
def inner():
    return ENCODER(torch.randn(8, 4))


def no_grad_in_no_grad():
    with torch.no_grad():  # outer
        inner()
        return inner()


def set_grad_enabled_in_no_grad():
    with torch.no_grad():  # outer
        torch.set_grad_enabled(False)
        return ENCODER(torch.randn(8, 4))


def inference_mode_in_no_grad():
    with torch.no_grad():  # outer
        with torch.inference_mode():
            code = ENCODER(torch.randn(8, 4))
        return code.clone()


def after_enable_grad_in_no_grad():
    with torch.no_grad():  # outer
        with torch.enable_grad():
            DECODER(torch.randn(2, 3))
        with torch.set_grad_enabled(True):
            DECODER(torch.randn(2, 3))
        return ENCODER(torch.randn(8, 4))


def turned_off_inside_enable_grad():
    with torch.no_grad(), torch.enable_grad(), torch.no_grad():  # outer
        return ENCODER(torch.randn(8, 4))


@pytest.mark.parametrize(
    "encode",
    [
        draws_first,
        no_grad_in_no_grad,
        set_grad_enabled_in_no_grad,
        inference_mode_in_no_grad,
        after_enable_grad_in_no_grad,
        turned_off_inside_enable_grad,
    ],
)
def test_the_outermost_switch_is_to_blame(encode):
    text, cause = blamed(encode)
    assert "# outer" in text
    assert cause == "no_grad"


def test_no_grad_inside_inference_mode_changes_nothing():
    def encode():
        with torch.inference_mode():  # outer
            code = inner()
        return code.clone()

    assert blamed(encode) == ("with torch.inference_mode():  # outer", "inference_mode")


def test_a_block_that_depends_on_a_flag_is_named_only_where_no_other_is_found():
    def encode():
        with torch.set_grad_enabled(ENCODER.training), torch.inference_mode():  # outer
            code = ENCODER(torch.randn(8, 4))
        return code.clone()

    assert blamed(encode) == (
        "with torch.set_grad_enabled(ENCODER.training), torch.inference_mode():  # outer",
        "inference_mode",
    )
