# ruff: noqa: B023, PLW0108, PLC3002 - what is tested are functions that read a loop's variable late
"""Functions made in a loop that all call the last module of it: told where they are written, and only there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope


class Block(nn.Module):
    """A block of which one layer is never called."""

    def __init__(self, *, spare=False):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        if spare:
            self.spare = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x).tanh()


def in_comprehension(model):
    return [lambda x: block(x) for block in model.blocks]  # made here


def by_number(model):
    made = []
    for number in range(len(model.blocks)):

        def call(x):  # made here
            return model.blocks[number](x)

        made.append(call)
    return made


def bound(model):
    return [lambda x, block=block: block(x) for block in model.blocks]


def called_in_its_turn(model):
    def way(x):
        for block in model.blocks:
            x = (lambda value: block(value))(x)
        return x

    return [way]


def findings_of(make, *, spare=False):
    torch.manual_seed(0)
    model = nn.Module()
    model.blocks = nn.ModuleList(Block(spare=spare) for _ in range(3))
    model.head = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    functions = make(model)

    def step():
        x = torch.randn(8, 4)
        optimizer.zero_grad()
        model.head(sum(function(x) for function in functions)).pow(2).mean().backward()
        optimizer.step()

    return gradscope.explain(step, repeat=4, models={"model": model}).findings


@pytest.mark.parametrize("make", [in_comprehension, by_number])
def test_the_function_is_told(make):
    (finding,) = findings_of(make)

    assert (finding.code, finding.cause, finding.severity) == ("GS101", "unused_module", "error")
    assert {p.split(".")[1] for p in finding.parameters} == {"0", "1"}
    assert "# made here" in finding.location.text or "lambda" in finding.location.text
    assert "function made in a loop" in finding.message


@pytest.mark.parametrize("make", [bound, called_in_its_turn])
def test_functions_with_a_value_of_their_own_are_sound(make):
    assert not findings_of(make)


@pytest.mark.parametrize("make", [bound, called_in_its_turn])
def test_what_each_turn_leaves_out_has_another_reason(make):
    found = findings_of(make, spare=True)

    assert found
    assert {(f.code, f.cause) for f in found} == {("GS102", "unused_module")}
    assert all("function made in a loop" not in f.message for f in found)
