"""Several modules that are told apart by a number are told as one: in words, findings and the picture."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import nn

import gradscope
from gradscope.diagnosis.numbered import blocks, ranges
from gradscope.report import Report
from gradscope.session import Session

SIX = [f"experts.{i}.{name}" for i in range(6) for name in ("weight", "bias")]


@pytest.mark.parametrize(
    ("members", "among", "words"),
    [
        ("012345", "012345", "0-5"),
        ("0125", "012345", "{0-2,5}"),
        ("024", "024", "0-4"),  # what has no parameters stands between them
        ("3", "012345", "3"),
    ],
)
def test_ranges(members, among, words):
    assert ranges(members, among) == words


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (SIX[:4], "0-1"),
        ([*SIX[:2], *SIX[4:6]], "{0,2}"),
        (SIX[:2], ""),  # one is no several
        (SIX[:3], ""),  # half of one
        (["experts.0.weight", "router.weight"], ""),
    ],
)
def test_blocks(names, words):
    assert blocks(names, "experts", [*SIX, "router.weight"]) == words


class Mixture(nn.Module):
    """A router that takes two of eight experts, and never some of them."""

    def __init__(self, never: list[int]) -> None:
        super().__init__()
        self.router, self.experts = nn.Linear(4, 8), nn.ModuleList(nn.Linear(4, 4) for _ in range(8))
        with torch.no_grad():
            self.router.bias[never] = -100.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, chosen = self.router(x).softmax(-1).topk(2, -1)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, slot = (chosen == number).nonzero(as_tuple=True)
            if len(rows):
                result = result.index_add(0, rows, expert(x[rows]) * weight[rows, slot, None])
        return result


def train(net: nn.Module) -> Callable[[], None]:
    optimizer = torch.optim.SGD(net.parameters(), 0.01)

    def step() -> None:
        optimizer.zero_grad()
        net(torch.randn(64, 4)).square().mean().backward()
        optimizer.step()

    return step


def built_before() -> Report:
    net = Mixture([1, 4, 5])
    return gradscope.explain(train(net), net=net)


def built_meanwhile() -> Report:
    with Session() as session:
        net = Mixture([1, 4, 5])
        step = train(net)
        for _ in range(3):
            step()
    return session.report()


@pytest.mark.parametrize("run", [built_before, built_meanwhile])
def test_experts_that_are_never_taken_are_one_finding_and_one_plate(run):
    torch.manual_seed(0)
    report = run()
    (found,) = report.findings
    assert found.code == "GS102"
    assert found.message.startswith("net.experts.{1,4-5} are never used: they never take part in the computation")
    assert len(found.parameters) == 6
    assert (found.location is not None) == (run is built_meanwhile)
    source = report.graph().source
    assert len(re.findall(r"^ +n\d+ -> b\d+ \[", source, re.MULTILINE)) == 1
    assert "<b>experts.{1,4-5}&#160; x3</b>" in source
    assert "<b>experts.{0,2-3,6-7}&#160; x5</b>" in source
