"""A graph that Python has seen every node of must not take the process along when it dies."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
import torch

from gradscope.capture.backward import GraphWalk, walk
from gradscope.capture.undertaker import LARGE, undertaker

CHAIN = """
import torch
from gradscope.capture.backward import walk
from gradscope.capture.undertaker import undertaker

class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x * 2
    @staticmethod
    def backward(ctx, g): return g * 2

x = y = torch.ones(2, requires_grad=True)
for i in range(100_000):
    y = Twice.apply(y) if i % 1000 == 0 else y + 1
    if i == 50_000:
        middle = y
graph = walk([y])
assert len(graph.steps) == 100_001, len(graph.steps)
def left(): print(undertaker.bury())
"""
ENDS = {
    "dropped before": ("del y, middle; graph.let_go(); left()", "0\n"),
    "dropped after": ("graph.let_go(); left(); del y, middle; left()", "100000\n0\n"),
    "half of it kept": ("graph.let_go(); del y; left(); del middle; left()", "50001\n0\n"),
    "walked twice": ("again = walk([middle]); again.let_go(); graph.let_go(); del y, middle; left()", "0\n"),
    "kept to the end": ("graph.let_go()", ""),
}


@pytest.mark.parametrize(("end", "waiting"), ENDS.values(), ids=ENDS.keys())
def test_a_chain_of_100_000_nodes_ends_in_peace(end: str, waiting: str) -> None:
    command = [sys.executable, "-c", CHAIN + end]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if version("torch").startswith("2.6."):  # which frees more of a chain by itself
        assert done.stdout.splitlines()[-1:] == waiting.splitlines()[-1:]
    else:
        assert done.stdout == waiting


def test_what_is_let_go_is_freed() -> None:
    graph, freed = _walked(LARGE + 1)
    graph.let_go()
    assert undertaker.bury() == 0
    assert freed == ["freed"]


def test_a_small_graph_is_not_held() -> None:
    graph, _ = _walked(10)
    graph.let_go()
    assert undertaker.bury() == 0


def test_a_large_backward_is_walked() -> None:
    import gradscope

    model = torch.nn.Linear(2, 2)

    def step() -> None:
        x = model(torch.ones(2))
        for _ in range(LARGE + 100):
            x = x + 1
        x.sum().backward()

    report = gradscope.explain(step, repeat=2, model=model)
    assert report.ok
    assert undertaker.bury() == 0


def _walked(length: int) -> tuple[GraphWalk, list[str]]:
    freed: list[str] = []

    class Told(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.end = End(freed)
            return x * 1

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            return grad

    y = Told.apply(torch.ones(2, requires_grad=True))
    for _ in range(length):
        y = y + 1
    return walk([y]), freed


class End:
    def __init__(self, told: list[str]) -> None:
        self.told = told

    def __del__(self) -> None:
        self.told.append("freed")
