"""Tensors that are deep-copied on their way to a loss: what cut them before is told, as torch copies no others."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from gradscope.session import Session


class Batch(dict):
    pass


@dataclass
class State:
    code: torch.Tensor
    turn: int = 0


def as_it_is(z):
    return copy.deepcopy(z)  # copies


def in_a_dict(z):
    return copy.deepcopy({"z": z})["z"]  # copies


def in_a_dict_of_its_own(z):
    return copy.deepcopy(Batch(z=z, twice=z))["twice"]  # copies


def in_a_dataclass(z):
    return copy.deepcopy(State(z)).code  # copies


def detached(z):
    return z.detach()  # here


def data(z):
    return z.data  # here


def trained(through, steps=4):
    torch.manual_seed(0)
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(steps):
            optimizer.zero_grad()
            head(through(encoder(torch.randn(16, 3)))).sub(1).pow(2).mean().backward()
            optimizer.step()
    return [f for f in session.report().findings if f.severity in ("error", "warning")]


@pytest.mark.parametrize("cut", [detached, data])
@pytest.mark.parametrize("through", [as_it_is, in_a_dict, in_a_dict_of_its_own, in_a_dataclass])
def test_what_cut_it_before_is_told(through, cut):
    (finding,) = trained(lambda z: through(cut(z)))
    assert finding.cause == {detached: "detach", data: "data"}[cut]
    assert finding.location.text.endswith("# here")
    assert [line.text.rsplit("# ")[-1] for line in finding.also] == ["copies"]


def test_a_copy_that_is_kept_is_nothing():
    kept = []

    def through(z):
        kept.append(copy.deepcopy(z.detach()))
        return z

    assert trained(through) == []


def test_the_best_weights_are_kept_and_loaded():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with Session() as session:
        for turn in range(6):
            if turn % 3 == 0:
                best = copy.deepcopy(net.state_dict())
            optimizer.zero_grad()
            net(torch.randn(16, 3)).sub(1).pow(2).mean().backward()
            optimizer.step()
        net.load_state_dict(best)
    assert [f for f in session.report().findings if f.severity in ("error", "warning")] == []


def test_the_state_of_a_model_is_followed():
    """What a copy of its state_dict() is loaded into is trained in its place."""
    torch.manual_seed(0)
    net, worker, head = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(4):
            worker.load_state_dict(copy.deepcopy(net.state_dict()))  # here
            optimizer.zero_grad()
            head(worker(torch.randn(16, 3))).sub(1).pow(2).mean().backward()
            optimizer.step()
    finding = next(f for f in session.report().findings if f.model == "net")
    assert finding.cause == "copied"
    assert finding.location.text.endswith("# here")
