"""Data with a NaN: the tensor's name, shape and the first bad place are told."""

from __future__ import annotations

import math

import pytest
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


@pytest.mark.filterwarnings("ignore:std")
def test_what_stands_in_memory_that_nobody_has_written_is_not_where_a_nan_began(monkeypatch):
    """`torch.empty` may hold anything; here it always holds NaN. The NaN of the loss comes from a deviation of one."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)
    try:
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        with Session() as session:
            for turn in range(4):
                hidden = model(torch.randn(6, 3)).squeeze(1)
                out = torch.empty_like(hidden)
                assert out.isnan().any()
                for row in range(6):
                    out[row] = hidden[row]
                spread = out[:1].std() if turn == 2 else out.std()  # one value has none
                optimizer.zero_grad()
                (out.square().mean() + spread).backward()
                optimizer.step()
            findings = session.report().findings
    finally:
        torch.use_deterministic_algorithms(False)
    assert [(f.code, f.cause) for f in findings] == [("GS301", "empty_or_single_reduction")]
    assert findings[0].location is not None
    assert "one value has none" in findings[0].location.text
