"""Parameters that are replaced, and put into the groups of their optimizer by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.optimizers import OptimizerBook
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY
from gradscope.session import Session


def whole_list(optimizer, layer):
    optimizer.param_groups[0]["params"] = list(layer.parameters())


def in_place(optimizer, layer):
    optimizer.param_groups[0]["params"][:] = layer.parameters()


def new_group(optimizer, layer):
    del optimizer.param_groups[next(n for n, g in enumerate(optimizer.param_groups) if layer.bias in set(g["params"]))]
    optimizer.add_param_group({"params": layer.parameters()})


def other_groups(optimizer, layer):
    optimizer.param_groups = [
        {**optimizer.param_groups[0], "params": list(layer.parameters())},
        *optimizer.param_groups[1:],
    ]


def nothing(optimizer, layer):
    del optimizer.param_groups[0]


def loop(first, second, edit, turns):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam([{"params": first.parameters()}, {"params": second.parameters()}], lr=0.01)
    for turn in turns:
        if turn in (3, 6):
            first.weight = nn.Parameter(1.1 * first.weight.detach())
            edit(optimizer, first)
        optimizer.zero_grad()
        second(first(torch.randn(8, 3))).sub(1).pow(2).mean().backward()
        optimizer.step()


def told(edit):
    """What is said of it as a script, and of the marked and the unmarked loop."""
    answers = []
    with Session() as session:
        loop(nn.Linear(3, 4), nn.Linear(4, 1), edit, range(9))
    answers.append(session.report().findings)
    for marked in (True, False):
        first, second = nn.Linear(3, 4), nn.Linear(4, 1)
        with gradscope.watch(first=first, second=second) as scope:
            loop(first, second, edit, scope.steps(range(9)) if marked else range(9))
        answers.append(scope.report().findings)
    return [[(f.code, f.model, f.cause) for f in findings] for findings in answers]


@pytest.mark.parametrize("edit", [whole_list, in_place, new_group, other_groups])
def test_what_was_held_and_stepped_before_is_not_missing(edit):
    assert told(edit) == [[]] * 3


@pytest.mark.parametrize("edit", [lambda optimizer, layer: None, nothing])
def test_what_nobody_put_there_is_stale(edit):
    assert told(edit) == [[("GS501", "first", "stale_parameter")]] * 3


def test_a_new_tensor_with_the_id_of_one_that_is_gone():
    registry = Registry()
    book = OptimizerBook(registry)
    old, new = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([old], lr=0.1)
    number = book.see(optimizer, EMPTY, only_known=False)
    book.stepped(number)
    optimizer.param_groups[0]["params"] = [new]
    book.known[number].ids = [[id(new)]]  # as if it lay where the old one lay
    registry.add(new)
    book.read(number)
    assert (registry.uid(old), registry.uid(new)) == (0, 1)
    (record,) = book.records()
    assert (record.parameters, record.past) == ((1,), {0})
