"""Another instance is called than the one that is trained: the call, or who handed it over to be called."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gradscope.session import Session


def apply(model, x):
    return model(x)  # inside


def handed(average, x):
    return apply(average, x)  # here


def test_a_function_that_calls_what_it_is_given_is_not_to_blame():
    torch.manual_seed(0)
    net, head = nn.Linear(4, 4), nn.Linear(4, 1)
    average = copy.deepcopy(net)
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(6):
            optimizer.zero_grad()
            head(handed(average, torch.randn(8, 4))).sub(1).pow(2).mean().backward()
            optimizer.step()
            with torch.no_grad():
                for mean, new in zip(average.parameters(), net.parameters(), strict=True):
                    mean.lerp_(new, 0.1)
    (found,) = [f for f in session.report().findings if f.code == "GS101"]
    assert found.cause == "copied"
    assert found.location.text.endswith("# here")


def by_state_dict(target, net):
    target.load_state_dict(net.state_dict())


def by_data(target, net):
    for mine, theirs in zip(target.parameters(), net.parameters(), strict=True):
        mine.data.copy_(theirs.data)


def without_gradients(target, net):
    with torch.no_grad():
        for mine, theirs in zip(target.parameters(), net.parameters(), strict=True):
            mine.copy_(theirs)


def of_another(net):
    target = nn.Linear(4, 3)
    by_state_dict(target, net)
    return target


@pytest.mark.parametrize("sync", [by_state_dict, by_data, without_gradients])
@pytest.mark.parametrize("made", [copy.deepcopy, of_another])
def test_a_target_network_that_predicts_is_told_where_it_is_chosen(sync, made):
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    target = made(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def values(x, *, online=False):
        chosen = net if online else target  # here
        return chosen(x)

    with Session() as session:
        for turn in range(9):
            with torch.no_grad():
                best = values(torch.randn(8, 4), online=True).argmax(1, keepdim=True)
            optimizer.zero_grad()
            values(torch.randn(8, 4)).gather(1, best).sub(1).pow(2).mean().backward()
            optimizer.step()
            if turn % 3 == 2:
                sync(target, net)
        (found,) = [f for f in session.report().findings if f.severity == "error"]

    assert (found.code, found.model, found.cause) == ("GS101", "net", "copied")
    assert found.location.text.endswith("# here")
