"""Ways: the strongest way of one gradient from the loss to a parameter, with the operations along it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gradscope.capture.backward import GraphWalk, Step
from gradscope.capture.tape import Op, Tape

_VIEWS = {"T", "t", "mT", "transpose", "view", "expand", "unsqueeze", "squeeze", "to", "float", "half", "clone",
          "reshape", "permute", "expand_as", "view_as", "contiguous", "bfloat16"}  # fmt: skip


@dataclass(slots=True)
class Way:
    """The strongest way of one gradient from the loss (first) to a parameter (last)."""

    steps: list[Step]
    ops: list[Op | None]
    first: int
    """Position of the first operation, seen from the loss, that has a parameter among its inputs."""
    drops: list[float]
    """By how many powers of e each node shrank what went on along this way."""


class Ways:
    """Finds ways, and reads the tape along them."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    def way(self, graph: GraphWalk, leaf: int) -> Way | None:
        steps: list[Step] = []
        at, seen = leaf, {leaf}
        while graph.consumers[at]:
            sizes = [(graph.steps[c].out[slot] if graph.steps[c].fired else None, c) for c, slot in graph.consumers[at]]
            alive = [(size, c) for size, c in sizes if size is not None and size == size and c not in seen]
            if not alive:
                break
            at = max(alive)[1]
            seen.add(at)
            steps.append(graph.steps[at])
        if not steps:
            return None
        steps.reverse()
        indices = [self.tape.op_of_node(step.sequence) for step in steps]
        ops = [self.tape.ops[i] if i >= 0 else None for i in indices]
        first = next((i for i, op in enumerate(ops) if op is not None and self.params(op)), len(steps) - 1)
        return Way(steps, ops, first, _drops(steps))

    def params(self, op: Op) -> list[int]:
        found = [self._param_of(v) for v, _ in op.inputs]
        return [] if op.name in _VIEWS else [uid for uid in found if uid >= 0]

    def _param_of(self, value: int) -> int:
        """The parameter a value is, or is a view or cast of; -1 if it is none."""
        for _ in range(4):
            at = self.tape.values[value]
            if at.param >= 0 or at.op < 0 or self.tape.ops[at.op].name not in _VIEWS or not at.parents:
                return at.param
            value = at.parents[0][0]
        return -1

    def ancestors(self, way: Way) -> list[Op]:
        """All operations that the gradient's size depends on: those on the way and what they were computed from."""
        found: dict[int, Op] = {op.index: op for op in way.ops if op is not None}
        todo = [v for op in found.values() for v, _ in op.inputs]
        seen = set(todo)
        while todo and len(seen) < 20_000:
            value = self.tape.values[todo.pop()]
            if value.op >= 0:
                found.setdefault(value.op, self.tape.ops[value.op])
            if value.param >= 0:
                continue
            for parent, _ in value.parents:
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return [found[index] for index in sorted(found)]

    def used(self, ops: list[Op]) -> list[int]:
        return list(dict.fromkeys(u for op in ops for u in self.params(op)))

    def along(self, way: Way) -> list[int]:
        return list(dict.fromkeys(u for op in way.ops if op is not None for u in self.params(op)))


def largest(values: list[float | None]) -> float:
    return max((v for v in values if v is not None and v == v), default=0.0)


def _drops(steps: list[Step]) -> list[float]:
    sizes = [largest(step.into) for step in steps]
    sizes.append(min((v for v in steps[-1].out if v), default=0.0))
    return [math.log(a / b) if a > 0 and b > 0 and math.isfinite(a / b) else 0.0 for a, b in pairwise(sizes)]


def last_line(ways: Ways, ops: Sequence[Op | None], *, any_operation: bool = False) -> Op | None:
    """Of the operations in the function that holds most of them, one on its last line: there a shortcut would be."""
    chosen = [op for op in ops if op is not None and op.stack.frames and (any_operation or ways.params(op))]
    codes = Counter(op.stack.frames[0][0] for op in chosen)
    if not codes:
        return None
    code = codes.most_common(1)[0][0]
    mine = [op for op in ops if op is not None and op.stack.frames and op.stack.frames[0][0] is code]
    return max(mine, key=lambda op: op.stack.frames[0][1])


def usual(ops: list[Op | None]) -> Op | None:
    """Of several operations one on the line that occurs most."""
    lines = Counter(op.stack.frames[:1] for op in ops if op is not None and op.stack.frames)
    if not lines:
        return None
    line = lines.most_common(1)[0][0]
    return next(op for op in ops if op is not None and op.stack.frames[:1] == line)
