"""The ways of a deep net's gradients: as many as parameters and as long as layers, yet nothing is asked twice."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import ways
from gradscope.capture.scales import ScaleFinder
from gradscope.capture.ways import Ways

DEPTH, TURNS = 30, 4


def deep(scale):
    """Traced steps of a net whose gradients are all of the size of the loss's factor."""
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(6, 6) for _ in range(DEPTH)))
    for layer in net:
        nn.init.orthogonal_(layer.weight)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-15)
    x = torch.randn(8, 6)

    def step():
        optimizer.zero_grad()
        (net(x).pow(2).mean() * scale).backward()
        optimizer.step()

    return gradscope.explain(step, repeat=TURNS, net=net)


@pytest.mark.parametrize(("scale", "code"), [(1e-9, "GS401"), (1e9, "GS402")])
def test_what_many_ways_share_is_read_once(monkeypatch, scale, code):
    asked: Counter[str] = Counter()
    for owner, name in [
        (ScaleFinder, "_measured_gain"),
        (Ways, "way"),
        (Ways, "_place"),
        (Ways, "_computed_from"),
        (Ways, "_param_of"),
    ]:
        monkeypatch.setattr(owner, name, counting(getattr(owner, name), asked, name))

    report = deep(scale)

    assert code in {finding.code for finding in report.findings}
    assert asked["way"] == 2 * DEPTH * TURNS
    assert asked["_measured_gain"] <= 2 * DEPTH * TURNS
    assert asked["_place"] <= (2 * DEPTH + 10) * TURNS
    assert asked["_computed_from"] <= TURNS
    assert asked["_param_of"] <= (4 * DEPTH + 20) * TURNS


def counting(function, asked, name):
    def counted(*args):
        asked[name] += 1
        return function(*args)

    return counted


@pytest.mark.parametrize("most", [ways.MOST, 5])
def test_operations_off_the_known_part_are_found_all_the_same(monkeypatch, most):
    monkeypatch.setattr(ways, "MOST", most)

    assert "GS402" in {finding.code for finding in deep(1e9).findings}
