"""Data with a NaN: the tensor's name, shape and the first bad place are told."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import gradscope
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


def spoilt(make):
    torch.manual_seed(0)
    body, head = nn.Linear(4, 4), nn.Linear(4, 4)
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.01)

    def step():
        optimizer.zero_grad()
        make(body, head).backward()
        optimizer.step()

    (finding,) = gradscope.explain(step, repeat=4, models={"body": body, "head": head}).findings[:1]
    return finding


def test_nan_that_the_user_computes_from_data_is_told_as_that():
    def make(body, head):
        x = torch.randn(8, 4)
        x[:, 2] = 5.0
        x = (x - x.mean(0)) / x.std(0)  # here
        return head(body(x)).square().mean()

    finding = spoilt(make)

    assert finding.cause == "nan_in_data"
    assert "# here" in finding.location.text
    assert "is computed from the data, before any model sees it" in finding.message
    assert "divisor" in finding.fix


def test_nan_that_the_loss_leaves_out_is_sought_where_it_was_born():
    """nanmean() makes the loss finite, and what comes back of it is zero times NaN."""

    def make(body, head):
        x = torch.randn(8, 4)
        x[3] = 0.0
        hidden = body(x) * x.any(1, keepdim=True)
        hidden = hidden / hidden.norm(dim=1, keepdim=True)  # here
        return torch.nanmean((head(hidden) - x).square())

    finding = spoilt(make)

    assert finding.cause == "norm_division_by_zero"
    assert "# here" in finding.location.text


def incomplete():
    data = torch.randn(32, 4)
    data[5, 1] = math.nan
    return data


def loop(read):
    torch.manual_seed(0)
    network = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with Session() as session:
        read(network, optimizer)
    (finding,) = session.report().findings
    assert finding.cause == "nan_in_data"
    return finding


def test_the_line_that_brought_it_in_is_told():
    def read(network, optimizer):
        table = incomplete()  # here
        for at in range(4):
            optimizer.zero_grad()
            network(table[at * 8 : at * 8 + 8]).pow(2).mean().backward()
            optimizer.step()

    finding = loop(read)
    assert finding.location.text.endswith("# here")
    assert "table of shape [32, 4], NaN at [5, 1]), which comes in at" in finding.message


def test_what_a_loader_hands_out_is_told_where_it_is_used():
    def read(network, optimizer):
        for batch in torch.utils.data.DataLoader(incomplete(), batch_size=8):
            optimizer.zero_grad()
            network(batch).pow(2).mean().backward()  # here
            optimizer.step()

    finding = loop(read)
    assert finding.location.text.endswith("# here")
    assert "), used at" in finding.message


def test_infinity_in_the_data_is_not_called_a_product_with_zero():
    """A layer adds up infinities of both signs, which is NaN without any zero."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    with Session() as session:
        for turn in range(4):
            inputs = torch.randn(8, 16)
            if turn == 2:
                inputs[0, 0] = math.inf
            optimizer.zero_grad()
            network(inputs).pow(2).mean().backward()
            optimizer.step()
    (finding,) = session.report().findings

    assert finding.cause == "nan_in_data"
    assert finding.detail == "inputs of shape [8, 16], Inf at [0, 0]"


def test_infinity_in_the_data_that_is_multiplied_with_zero_is_called_that():
    torch.manual_seed(0)
    network = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    weights, off = torch.ones(8, 1), torch.zeros(8, 1)
    weights[3] = math.inf
    with Session() as session:
        for _ in range(4):
            optimizer.zero_grad()
            gated = network(torch.randn(8, 4)) * off
            (gated * weights).sum().backward()  # the product
            optimizer.step()
    (finding,) = session.report().findings

    assert finding.cause == "inf_times_zero"
    assert finding.location.text.endswith("# the product")
