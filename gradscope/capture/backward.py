"""The traced backward: what every node of the autograd graph did to the gradient that passed through it.

Before the pass the graph is walked once, iteratively: that says which parameters are connected. A hook on
each node then notes the largest absolute value that came in and went out, so that afterwards the node can
be named at which a gradient became zero, NaN, Inf, tiny or huge. Nodes are held only during the pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from gradscope.capture.custom import backward_of
from gradscope.capture.norms import precise
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.undertaker import LARGE, undertaker

NODE_LIMIT = 60_000
"""Graph nodes that are hooked; a larger graph is only walked."""
WALK_LIMIT = 500_000
"""Graph nodes made since the last backward; after more the graph is not even walked: that would take seconds."""


@dataclass(slots=True, eq=False)
class Step:
    """One node of the graph, and what it did: sizes are largest absolute values, None for no gradient at all."""

    node: Any
    name: str
    sequence: int
    next: list[tuple[int, int]]
    """Per input: (index of the node its gradient goes to, which of that node's outputs); -1 for none."""
    into: list[float | None] = field(default_factory=list)
    """What came in from the loss's side."""
    out: list[float | None] = field(default_factory=list)
    """What was sent on, per input."""
    norm: float | None = None
    """2-norm of what came in."""
    sent: dict[int, float | None] = field(default_factory=dict)
    """2-norm of what was sent on, per input that others send to as well."""
    fired: bool = False
    cause: tuple[str, int] | None = None
    """Worked out while the saved values were there: (cause or question, operand)."""
    where: Stack = EMPTY
    """Of a user's autograd.Function: where its backward() returns."""


@dataclass(eq=False)
class GraphWalk:
    """The autograd graph below some roots, numbered in the order of the walk."""

    steps: list[Step] = field(default_factory=list)
    leaves: dict[int, Any] = field(default_factory=dict)
    """Index of an AccumulateGrad node -> its variable."""
    consumers: list[list[tuple[int, int]]] = field(default_factory=list)
    """Per node: (node, input number) whose gradient flows into it."""
    truncated: bool = False

    def below(self, start: Iterable[int], barred: Collection[int] = ()) -> set[int]:
        """These nodes and all that their gradient flows on to, but for what is barred."""
        todo = [n for n in start if n >= 0 and n not in barred]
        seen = set(todo)
        while todo:
            for n, _ in self.steps[todo.pop()].next:
                if n >= 0 and n not in seen and n not in barred:
                    seen.add(n)
                    todo.append(n)
        return seen

    def meeting(self, number: int) -> int:
        """The node nearest to `number` through which all ways from it to the loss lead."""
        reached: dict[int, int] = {}
        starts = list(dict.fromkeys(c for c, _ in self.consumers[number]))
        for start in starts:
            todo, seen = [start], {start}
            while todo:
                for consumer, _ in self.consumers[todo.pop()]:
                    if consumer not in seen:
                        seen.add(consumer)
                        todo.append(consumer)
            for node in seen:
                reached[node] = reached.get(node, 0) + 1
        common = [node for node, count in reached.items() if count == len(starts)]
        earliest = min(common, key=lambda node: self.steps[node].sequence, default=-1)
        return earliest if earliest >= 0 else next(iter(starts), number)

    def let_go(self) -> None:
        """Hold no node any more."""
        nodes = [step.node for step in self.steps]
        for step in self.steps:
            step.node = None
        if len(nodes) > LARGE:
            undertaker.take(nodes, [[to for to, _ in step.next if to >= 0] for step in self.steps])
        undertaker.bury()


def walk(roots: Iterable[torch.Tensor]) -> GraphWalk:
    """Walk the graph from the roots, without recursion."""
    graph = GraphWalk()
    index: dict[Any, int] = {}
    todo: list[Any] = []

    def number(node: Any) -> int:
        known = index.get(node)
        if known is None:
            known = index[node] = len(graph.steps)
            graph.steps.append(Step(node, node.name(), node._sequence_nr(), []))
            graph.consumers.append([])
            variable = getattr(node, "variable", None)
            if variable is not None:
                graph.leaves[known] = variable
            todo.append(node)
        return known

    for root in roots:
        if root.grad_fn is not None:
            number(root.grad_fn)
    at = 0
    while at < len(todo):
        node = todo[at]
        me = index[node]
        for slot, (child, out) in enumerate(node.next_functions):
            if child is None:
                graph.steps[me].next.append((-1, 0))
                continue
            to = number(child)
            graph.steps[me].next.append((to, out))
            graph.consumers[to].append((me, slot))
        at += 1
    return graph


class Recorder:
    """Hooks every node of a walked graph for one backward pass."""

    def __init__(self, graph: GraphWalk, explain: Callable[[Step, Any, Any], tuple[str, int] | None]) -> None:
        self.graph = graph
        self.explain = explain
        self.error: Exception | None = None
        self._handles: list[Any] = []
        if len(graph.steps) > NODE_LIMIT:
            graph.truncated = True
            return
        for number, step in enumerate(graph.steps):
            if number not in graph.leaves:
                self._handles.append(step.node.register_hook(self._hook(step)))

    def _hook(self, step: Step) -> Callable[[Any, Any], None]:
        def hook(grad_inputs: Any, grad_outputs: Any) -> None:
            if self.error is not None:
                return
            try:
                self._note(step, grad_inputs, grad_outputs)
            except Exception as error:  # noqa: BLE001 - shields the user's backward
                self.error = error

        return hook

    def _note(self, step: Step, grad_inputs: Any, grad_outputs: Any) -> None:
        step.fired = True
        step.into = [size(g) for g in grad_outputs]
        step.out = [size(g) for g in grad_inputs]
        step.norm = norm_of(grad_outputs)
        for slot, (to, _) in enumerate(step.next[: len(grad_inputs)]):
            if to >= 0 and len(self.graph.consumers[to]) > 1:
                step.sent[slot] = norm_of(grad_inputs[slot : slot + 1])
        alive = any(s for s in step.into if s is not None)
        born = any(not math.isfinite(s) for s in step.out if s is not None)
        if not alive and not born:  # 0 x inf is born of zeros
            return
        if (born or None in step.out or 0.0 in step.out) and hasattr(step.node, "saved_tensors"):
            step.where = backward_of(step.node)
        finite = all(math.isfinite(s) for s in step.into if s is not None)
        for number, out in enumerate(step.out):
            if out is None:
                continue
            if out == 0.0 or (finite and not math.isfinite(out)) or _collapsed(step.into, out):
                step.cause = self.explain(step, number, grad_outputs)
                return

    def close(self) -> None:
        """Remove the hooks and let the nodes go."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.graph.let_go()


COLLAPSE = 1e-10
"""A gradient this much smaller than what came in counts as gone: far below float32's resolution of 1.2e-7."""


def _collapsed(into: list[float | None], out: float) -> bool:
    largest = max((s for s in into if s is not None), default=0.0)
    return math.isfinite(largest) and out < largest * COLLAPSE


_TINY = 1e-17
"""Below about this the squares of float32 values lose digits: the smallest normal one is 1e-38."""


def size(grad: torch.Tensor | None) -> float | None:
    """Largest absolute value of a gradient; NaN if it holds one; None if there is none."""
    if grad is None:
        return None
    grad = _stored(grad.detach())
    grad = getattr(grad, "_local_tensor", grad)
    if grad.numel() == 0:
        return 0.0
    if grad.is_complex():
        return float(grad.abs().max())
    low, high = torch.aminmax(grad)  # one pass and no copy: half the time of abs().max()
    return abs(max(float(high), -float(low)))


def _stored(grad: torch.Tensor) -> torch.Tensor:
    """The numbers of a sparse or nested tensor."""
    if grad.layout is torch.sparse_coo:
        return grad.coalesce().values()
    if grad.is_nested and grad.layout is torch.strided:
        return torch.cat([part.reshape(-1) for part in grad.unbind()])
    return grad.values() if grad.layout is not torch.strided and hasattr(grad, "values") else grad


def norm_of(grads: Any) -> float | None:
    """2-norm over some gradients; None if there is none, or none that is stored densely."""
    found = [g.detach() for g in grads if g is not None and g.layout is torch.strided and not g.is_nested and g.numel()]
    if not found:
        return None
    return math.hypot(*(_norm(getattr(g, "_local_tensor", g)) for g in found))


def _norm(grad: torch.Tensor) -> float:
    """2-norm of a gradient; squares that underflow or overflow are summed up again."""
    found = float(torch.linalg.vector_norm(grad))
    return found if _TINY < found < math.inf or found != found else float(precise(grad))
