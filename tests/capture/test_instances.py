"""Another instance is called than the one that is trained: the call, or who handed it over to be called."""

from __future__ import annotations

import copy

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
