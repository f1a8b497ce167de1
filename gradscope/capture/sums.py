"""Sums: whether a loss is a sum over so many elements that their number makes a gradient huge."""

from __future__ import annotations

import math
from operator import itemgetter

from gradscope.capture.backward import GraphWalk, Step
from gradscope.capture.tape import Op
from gradscope.capture.ways import Way, Ways, largest

MANY = 64
"""Elements of a sum whose mean would make a difference."""
ORDINARY = 100.0
"""rms of a gradient, had the mean been taken, up to which nothing else need be blamed; ordinary losses give 1e-4 to 10,
and what is told begins at 1000."""
_SEARCHED = 400
"""Nodes between the loss and the first weights among which sums are looked for."""


class Sums:
    """Finds sums of losses in a recorded backward."""

    def __init__(self, ways: Ways, graph: GraphWalk) -> None:
        self.ways = ways
        self.graph = graph
        self.tape = ways.tape

    def blamed(self, way: Way, rms: float) -> Op | None:
        """The sum on a way from the loss to the first weights, if with its mean a gradient this large is ordinary."""
        found: dict[int, tuple[int, Op]] = {}
        for step, op in zip(way.steps, way.ops, strict=True):
            if op is not None and not self.ways.params(op) and (count := self._count(step, op)) > 1:
                found.setdefault(op.index, (count, op))  # a loss made of several nodes is one sum
        many = math.prod(count for count, _ in found.values())
        return max(found.values(), key=itemgetter(0))[1] if many >= MANY and rms / many <= ORDINARY else None

    def below(self) -> dict[int, Op]:
        """Per leaf of the graph whose loss is a sum over many elements that nothing divides afterwards: that sum."""
        answer: dict[int, Op] = {}
        todo, seen = [0], {0}
        while todo and len(seen) < _SEARCHED:
            number = todo.pop(0)
            step = self.graph.steps[number]
            index = self.tape.op_of_node(step.sequence)
            op = self.tape.ops[index] if index >= 0 else None
            if op is not None and self.ways.params(op):
                continue
            if op is not None and self._count(step, op) >= MANY:
                for leaf in self.graph.below([number]).intersection(self.graph.leaves):
                    answer.setdefault(leaf, op)
                continue
            new = [n for n, _ in step.next if n >= 0 and n not in seen and n not in self.graph.leaves]
            seen.update(new)
            todo.extend(new)
        return answer

    def _count(self, step: Step, op: Op) -> int:
        """Over how many elements a node sums each number of its result, if nothing divides that afterwards; else 1."""
        if not (op.summed or op.name == "sum") or not step.fired or largest(step.into) < 0.5:
            return 1
        given = [self.tape.values[v].numel for v, _ in op.inputs]
        if op.summed:  # of a loss, the prediction may have more numbers than the target: one per class
            return given[1] if len(given) > 1 else max(given, default=1)
        return max(given, default=1) // max([self.tape.values[v].numel or 1 for v in op.outputs], default=1)
