"""What an optimizer was given and what it was not: the reason in words, where it was seen."""

from __future__ import annotations

import copy

import torch
from torch import nn

from gradscope.session import Session


def told(train):
    """Findings of a training of two networks."""
    torch.manual_seed(0)
    with Session() as session:
        train(nn.Linear(3, 4), nn.Linear(4, 1))
    return session.report().findings


def loop(first, second, optimizer, steps=5, at=lambda step: None):
    for step in range(steps):
        at(step)
        optimizer.zero_grad()
        second(first(torch.randn(16, 3))).sub(1).pow(2).mean().backward()
        optimizer.step()


def test_frozen_when_the_optimizer_was_built():
    def train(first, second):
        first.requires_grad_(False)
        held = [p for p in [*first.parameters(), *second.parameters()] if p.requires_grad]
        loop(first, second, torch.optim.SGD(held, lr=0.1), at=lambda step: first.requires_grad_(step > 1))

    (finding,) = told(train)
    assert "still frozen when the optimizer was built" in finding.message
    assert "add_param_group" in finding.fix


def test_unfrozen_before_the_optimizer_was_built():
    def train(first, second):
        first.requires_grad_(False)
        first.requires_grad_(True)
        loop(first, second, torch.optim.SGD(second.parameters(), lr=0.1))

    (finding,) = told(train)
    assert "frozen" not in finding.message


def test_an_iterator_that_was_used_up():
    def train(first, second):
        given = (p for p in first.parameters())
        print(sum(p.numel() for p in given))  # here
        optimizer = torch.optim.SGD([{"params": second.parameters()}, {"params": list(given)}], lr=0.1)
        loop(first, second, optimizer)

    (finding,) = told(train)
    assert finding.location.text.endswith("# here")
    assert "used up" in finding.message
    assert "list" in finding.fix


def test_the_original_is_held_and_the_copy_trained():
    def train(first, second):
        optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.1)
        loop(copy.deepcopy(first), second, optimizer)

    (finding,) = told(train)
    assert (finding.code, finding.cause) == ("GS101", "copied")
    assert "in its place" in finding.message
    assert "build the optimizer from the copy" in finding.fix


def test_a_parameter_made_of_a_result_is_told_once_and_not_as_forgotten():
    def train(first, second):
        maker = nn.Linear(2, 4)
        optimizer = torch.optim.SGD([*maker.parameters(), *first.parameters(), second.bias], lr=0.1)

        def make(_):
            second.weight = nn.Parameter(maker(torch.ones(2)).view(1, 4))

        loop(first, second, optimizer, at=make)

    (finding,) = told(train)
    assert (finding.code, finding.cause) == ("GS101", "new_tensor")
    assert "functional_call" in finding.fix
