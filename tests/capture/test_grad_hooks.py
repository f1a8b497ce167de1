"""A backward hook of a module that returns zeros is told at the line where it is written."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

import gradscope


def zeros(module, grad_input, grad_output):
    return tuple(grad * 0 for grad in grad_input)  # the line of zeros


def zeros_before(scale, module, grad_output):
    return tuple(grad * scale for grad in grad_output)  # the line of zeros_before


class Guard:
    def __call__(self, module, grad_input, grad_output):
        if grad_input[0].norm() >= 0:
            return tuple(map(torch.zeros_like, grad_input))  # the line of Guard
        return None


def on_input(head):
    head.register_full_backward_hook(zeros)


def on_first_layer(head):
    head[0].register_full_backward_hook(zeros)


def on_output(head):
    head.register_full_backward_pre_hook(functools.partial(zeros_before, 0.0))


def with_an_object(head):
    head.register_full_backward_hook(Guard())


def behind_an_idle_one(head):
    head.register_full_backward_hook(lambda module, grad_input, grad_output: None)
    head[2].register_full_backward_hook(zeros)


PLACES = {
    on_input: "zeros",
    on_first_layer: "zeros",
    on_output: "zeros_before",
    with_an_object: "Guard",
    behind_an_idle_one: "zeros",
}


@pytest.mark.parametrize("put", PLACES, ids=lambda put: put.__name__)
def test_the_hook_is_told(put):
    encoder = nn.Linear(4, 4)
    head = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    put(head)
    report = gradscope.explain(lambda: head(encoder(torch.ones(2, 4))).sum().backward(), encoder=encoder, head=head)
    found = [finding for finding in report.findings if finding.model == "encoder"]

    assert [finding.cause for finding in found] == ["grad_hook"]
    assert found[0].location.text.endswith(f"# the line of {PLACES[put]}")


def test_hooks_that_only_look_say_nothing():
    encoder, head = nn.Linear(4, 4), nn.Linear(4, 1)
    head.register_full_backward_hook(lambda module, grad_input, grad_output: None)
    head.register_full_backward_pre_hook(lambda module, grad_output: None)

    def step():
        for model in (encoder, head):
            model.zero_grad()
        head(encoder(torch.ones(2, 4))).sum().backward()

    assert gradscope.explain(step, encoder=encoder, head=head).findings == ()
