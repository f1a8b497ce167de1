"""Data with a NaN: the tensor's name, shape and the first bad place are told."""

from __future__ import annotations

import math

import torch
from torch import nn

from gradscope.session import Session


def told(inputs, targets):
    torch.manual_seed(0)
    network = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with Session() as session:
        for at in range(4):
            rows = slice(at * 8, at * 8 + 8)
            optimizer.zero_grad()
            (network(inputs[rows]) - targets[rows]).pow(2).mean().backward()
            optimizer.step()
    (finding,) = session.report().findings
    return finding


def test_the_tensor_and_the_place_are_named():
    readings = torch.randn(32, 4)
    readings[17, 2] = readings[19, 0] = math.nan
    finding = told(readings, torch.zeros(32, 1))
    assert finding.cause == "nan_in_data"
    assert finding.detail == "inputs of shape [32, 4], NaN at [17, 2]"
    assert finding.detail in finding.message


def test_a_target_that_is_infinite():
    labels = torch.zeros(32, 1)
    labels[3] = math.inf
    assert told(torch.randn(32, 4), labels).detail == "targets of shape [32, 1], Inf at [3, 0]"
