"""Time and size of the graph against the nodes of the backward pass, and of the page against the parameters.

    python benchmarks/graph_and_page.py                  # all sizes, about ten minutes
    python benchmarks/graph_and_page.py --nodes 100 1000 --parameters 10

torchviz draws the same loss in the same run, laid out by the same engine. Times are medians over the repeats, with the
least and the most in brackets; ours begin with the traced facts at hand.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torchviz
from torch import nn

import gradscope
from gradscope.capture.backward import walk
from gradscope.render.engine import SECONDS, layout
from gradscope.render.html import render_page
from gradscope.report import Report

REPEATS = 3
PER_TURN = 9
"""Backward nodes that one turn of `Cell` makes."""


class Cell(nn.Module):
    """A recurrent cell, so that a graph of any length has two modules."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.keep = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.read(x) + self.keep(h)) * 0.9 + 0.1 * h


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="*", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--parameters", type=int, nargs="*", default=[10, 300, 10_000])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| backward nodes | gradscope | SVG | torchviz | SVG | torchviz / gradscope |\n|---|---|---|---|---|---|")
    for nodes in options.nodes:
        _graph_row(nodes)
    print("\n| parameters | page | size | of that the graph | graph | size |\n|---|---|---|---|---|---|")
    for parameters in options.parameters:
        _page_row(parameters)


def _graph_row(wanted: int) -> None:
    cell, head = Cell(), nn.Linear(4, 1)

    def loss() -> torch.Tensor:
        h = torch.zeros(2, 4)
        for _ in range(max(1, wanted // PER_TURN)):
            h = cell(torch.ones(2, 4), h)
        result: torch.Tensor = head(h).pow(2).mean()
        return result

    report = gradscope.explain(lambda: loss().backward(), repeat=1, cell=cell, head=head)
    live = loss()
    ours, theirs = [], []
    for _ in range(REPEATS):
        ours.append(_timed(lambda: report.graph().svg()))
        theirs.append(_timed(lambda: _by_torchviz(live)))
    graph = walk([live])
    nodes = len(graph.steps)
    graph.let_go()
    ratio = median(t for t, _ in theirs) / median(t for t, _ in ours)
    drawn = isinstance(theirs[0][1], str) and theirs[0][1].startswith("<")
    cells = (f"{nodes:,}", _spread(ours), _size(ours), _spread(theirs), _size(theirs), f"{ratio:.1f}" if drawn else "-")
    print(f"| {' | '.join(cells)} |", flush=True)


def _by_torchviz(loss: torch.Tensor) -> str:
    """Torchviz's own nodes, edges and look, but in Courier and without empty lines: both crash some Graphviz."""
    try:
        drawn = torchviz.make_dot(loss)
    except RecursionError:
        return "RecursionError"
    look = "align=left, fontname=Courier, fontsize=10, height=0.2, ranksep=0.1, shape=box, style=filled"
    lines = [f"node [{look}]", *(line.strip("\t\n").replace('"\n ', '"') for line in drawn.body)]
    done = layout("digraph {\n" + ";\n".join(lines) + ";\n}\n", "svg", SECONDS)
    return done.data.decode() if done.data else (done.reason or "").removeprefix("No picture: ").rstrip(".")


def _page_row(parameters: int) -> None:
    layers = max(1, parameters // 4)
    encoder = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
    decoder = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        decoder(encoder(torch.ones(2, 4)).detach()).pow(2).mean().backward()
        optimizer.step()

    run = gradscope.explain(step, repeat=2, encoder=encoder, decoder=decoder).run
    pages = [_timed(lambda: render_page(Report(run))) for _ in range(REPEATS)]
    graphs = [_timed(lambda: Report(run).graph().svg()) for _ in range(REPEATS)]
    share = median(t for t, _ in graphs) / median(t for t, _ in pages)
    count = f"{len(run.parameters):,}"
    cells = (count, _spread(pages), _size(pages), f"{share:.0%}", _spread(graphs), _size(graphs))
    print(f"| {' | '.join(cells)} |", flush=True)


Timed = tuple[float, str | None]


def _timed(work: Callable[[], str | None]) -> Timed:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _spread(results: list[Timed]) -> str:
    times = sorted(seconds for seconds, _ in results)
    return f"{median(times):.2f} s [{times[0]:.2f}, {times[-1]:.2f}]"


def _size(results: list[Timed]) -> str:
    text = results[0][1] or "no picture"
    return f"{len(text) / 1000:,.0f} kB" if text.startswith("<") else text


if __name__ == "__main__":
    main()
