"""A cut inside a reentrant checkpoint is told where it is; the checkpoint only where it gives nobody a gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import gradscope


def detached(a, b, x):
    return b(x) * a(x).sigmoid().detach()  # cut


def off(a, b, x):
    with torch.no_grad():  # cut
        scale = a(x)
    return b(x) * scale


def number(a, b, x):
    return b(x) * a(x).mean().item()  # cut


def chosen(a, b, x):
    return b(x) * a(x).argmax(1, keepdim=True)  # cut


def dropped(a, b, x):
    a(x)  # cut
    return b(x)


def deep(a, b, x):
    a(x).relu().mean(1)  # cut
    return b(x)


def findings_of(inner, *, stem=True):
    torch.manual_seed(0)
    models = {"stem": nn.Linear(4, 4), "a": nn.Linear(4, 4), "b": nn.Linear(4, 4), "head": nn.Linear(4, 2)}
    optimizer = torch.optim.SGD([p for m in models.values() for p in m.parameters()], 0.1)

    def step():
        x = torch.randn(8, 4)
        x = models["stem"](x) if stem else x
        h = checkpoint(inner, models["a"], models["b"], x, use_reentrant=True)  # the checkpoint
        optimizer.zero_grad()
        models["head"](h).square().mean().backward()
        optimizer.step()

    return gradscope.explain(step, repeat=3, models=models).findings


@pytest.mark.parametrize(
    ("inner", "cause"),
    [
        (detached, "detach"), (off, "no_grad"), (number, "item"), (chosen, "non_differentiable"),
        (dropped, "unused_output"), (deep, "unused_output"),
    ],
)  # fmt: skip
def test_what_cuts_inside_is_blamed_and_not_the_checkpoint(inner, cause):
    (finding,) = findings_of(inner)

    assert (finding.model, finding.cause) == ("a", cause)
    assert "# cut" in finding.location.text
    assert not finding.also


@pytest.mark.filterwarnings("ignore:None of the inputs")
def test_a_checkpoint_whose_inputs_require_nothing_is_blamed_itself():
    found = {f.model: f for f in findings_of(lambda a, b, x: b(x) * a(x), stem=False)}

    assert {found["a"].cause, found["b"].cause} == {"checkpoint"}
    assert "# the checkpoint" in found["a"].location.text


def test_a_checkpoint_that_works_is_silence():
    assert not findings_of(lambda a, b, x: b(x) * a(x))
