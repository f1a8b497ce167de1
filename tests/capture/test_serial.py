"""Two cuts on one way: the first is told, the second beside it."""

from __future__ import annotations

import torch
from torch import nn

import gradscope
from gradscope.session import Session


def told(between):
    """What is told of the first of three networks, whose result goes through `between` with the second."""
    torch.manual_seed(0)
    first, second, third = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*first.parameters(), *second.parameters(), *third.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(4):
            optimizer.zero_grad()
            third(between(first(torch.randn(16, 3)), second)).sub(1).pow(2).mean().backward()
            optimizer.step()
    (found,) = [f for f in session.report().findings if f.code == "GS101" and f.model == "first"]
    return found


def lines(finding):
    return [line.text.rsplit("# ")[-1] for line in (finding.location, *finding.also)]


def test_a_later_cut_on_the_same_way_is_named_beside_the_first():
    def between(z, second):
        z = z.data  # one
        z = second(2 * z)
        return torch.tensor(z.tolist())  # two

    found = told(between)
    assert found.cause == "data"
    assert lines(found) == ["one", "two"]


def test_one_that_leaves_another_way_open_is_not_named():
    def between(z, second):
        z = z.detach()  # one
        return second(z) + second(z).detach()

    assert lines(told(between)) == ["one"]


class Passes(torch.autograd.Function):
    """Returns its very inputs and only listens on the way back, as FSDP does before each block."""

    @staticmethod
    def forward(ctx, *tensors):
        return tensors

    @staticmethod
    def backward(ctx, *grads):
        return grads


def test_a_function_that_returns_its_inputs_cuts_nothing():
    torch.manual_seed(0)
    first, second, head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
    optimizer = torch.optim.SGD([*first.parameters(), *second.parameters(), *head.parameters()], 0.1)

    def step():
        (hidden,) = Passes.apply(first(torch.randn(8, 4)))
        (hidden,) = Passes.apply(second(hidden))
        hidden = hidden.detach()  # the cut
        optimizer.zero_grad()
        head(hidden).square().mean().backward()
        optimizer.step()

    found = gradscope.explain(step, repeat=3, models={"first": first, "second": second, "head": head}).findings

    assert {f.cause for f in found} == {"detach"}
    assert all("# the cut" in f.location.text and not f.also for f in found)
