"""The traced graph made ready for folding: neighbours, an order to walk in, and what the gradient did at each node.

Everything is iterative and linear: a step may have 100,000 nodes and be 100,000 deep.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from gradscope.records import Edge, Graph, Node

_AUTOGRAD_SUFFIX = re.compile(r"Backward\d*$")


class Flow(StrEnum):
    """What the gradient does at a node or box."""

    LIVE = "live"
    DEAD = "dead"
    GHOST = "ghost"
    """Behind a cut: the value goes on, the gradient does not come back."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Nodes by position; neighbours and edges speak of positions. Neighbours leave out cuts."""

    nodes: tuple[Node, ...]
    names: list[str]
    edges: tuple[tuple[int, int, Edge], ...]
    before: list[list[int]]
    after: list[list[int]]
    order: list[int]
    flow: list[Flow]
    leads: list[int]
    """Which losses and models a node leads to, one bit per `backward()` line and model."""
    bits: dict[object, int]
    """The bit of each model."""


def prepare(graph: Graph) -> Stream:
    """Index a graph; edges to nodes that are not there are left out."""
    nodes = tuple(sorted(graph.nodes, key=lambda n: n.id))
    where = {node.id: position for position, node in enumerate(nodes)}
    edges = tuple((where[e.source], where[e.target], e) for e in graph.edges if e.source in where and e.target in where)
    before: list[list[int]] = [[] for _ in nodes]
    after: list[list[int]] = [[] for _ in nodes]
    for source, target, edge in edges:
        if not edge.cut:
            before[target].append(source)
            after[source].append(target)
    order = _order(before, after)
    flows = _flows(nodes, edges, before, after)
    bits: dict[object, int] = {}
    leads = _leads(nodes, after, order, bits)
    names = [_op_name(node.label) for node in nodes]
    return Stream(nodes, names, edges, before, after, order, flows, leads, bits)


def _op_name(label: str) -> str:
    """An operation as the user knows it: `AddmmBackward0` is `Addmm`."""
    return _AUTOGRAD_SUFFIX.sub("", label) or label


def _order(before: list[list[int]], after: list[list[int]]) -> list[int]:
    """Positions with every node behind its predecessors; what hangs in a cycle comes last."""
    waiting = [len(each) for each in before]
    ready = deque(position for position, count in enumerate(waiting) if not count)
    order = []
    while ready:
        position = ready.popleft()
        order.append(position)
        for following in after[position]:
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)
    if len(order) < len(before):
        placed = set(order)
        order += [p for p in range(len(before)) if p not in placed]
    return order


def _leads(nodes: tuple[Node, ...], after: list[list[int]], order: list[int], bits: dict[object, int]) -> list[int]:
    reached = [0] * len(nodes)
    for position in reversed(order):
        node = nodes[position]
        if node.kind == "loss":
            reached[position] = bits.setdefault((node.location, node.label), 1 << len(bits))
        elif node.model:
            reached[position] = bits.setdefault(node.model, 1 << len(bits))
        for following in after[position]:
            reached[position] |= reached[following]
    return reached


def _flows(
    nodes: tuple[Node, ...],
    edges: tuple[tuple[int, int, Edge], ...],
    before: list[list[int]],
    after: list[list[int]],
) -> list[Flow]:
    """Live as recorded; the rest is a ghost from a cut on, until a module with parameters of its own begins."""
    flows = [Flow.LIVE if node.live else Flow.DEAD for node in nodes]

    def carries_on(position: int) -> bool:
        if flows[position] is not Flow.DEAD or nodes[position].kind not in ("op", "input"):
            return False
        return all(nodes[p].kind != "parameter" for p in before[position])

    queue = deque(target for _, target, edge in edges if edge.cut)
    while queue:
        position = queue.popleft()
        if carries_on(position):
            flows[position] = Flow.GHOST
            queue.extend(after[position])
    return flows
