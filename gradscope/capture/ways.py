"""Ways: the strongest way of one gradient from the loss to a parameter, with the operations along it.

The ways of a deep net are as many as it has parameters and as long as it has layers, and share most of what lies on
them: what is asked of a node or an operation is worked out once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from gradscope.capture.backward import GraphWalk, Step
from gradscope.capture.tape import Op, Tape

MOST = 20_000
"""Values that are looked at for what others were computed from."""
VIEWS = {"T", "t", "mT", "transpose", "view", "expand", "unsqueeze", "squeeze", "to", "float", "half", "clone",
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


@dataclass(slots=True, frozen=True, eq=False)
class Sources:
    """Operations that the sizes along a way depend on, in the order in which they ran."""

    ops: list[Op]
    numbers: Set[int]


@dataclass(slots=True)
class _Place:
    """A node, as every way through it sees it."""

    op: Op | None
    trains: bool
    """Its operation has a parameter among its inputs."""
    above: int
    """The next node towards the loss on the strongest way; -1 for none."""
    drop: float
    """By how many powers of e the node above shrank what went on here."""


class Ways:
    """Finds the ways of one backward, and reads the tape along them."""

    def __init__(self, tape: Tape, graph: GraphWalk) -> None:
        self.tape = tape
        self._graph = graph
        self._places: dict[int, _Place] = {}
        self._params: dict[int, list[int]] = {}
        self._sources: dict[int, Sources] = {}

    def way(self, leaf: int) -> Way | None:
        """The strongest way to a leaf of the graph, if anything came to it."""
        places: list[_Place] = []
        numbers: list[int] = []
        at = self._above(leaf)
        while at >= 0:
            place = self._places.get(at) or self._place(at)
            numbers.append(at)
            places.append(place)
            at = place.above
        if not numbers:
            return None
        numbers.reverse()
        places.reverse()
        steps = [self._graph.steps[number] for number in numbers]
        first = next((i for i, place in enumerate(places) if place.trains), len(places) - 1)
        drops = [place.drop for place in places[1:]]
        drops.append(_drop(largest(steps[-1].into), min((v for v in steps[-1].out if v), default=0.0)))
        return Way(steps, [place.op for place in places], first, drops)

    def _above(self, at: int) -> int:
        """The node that handed the largest gradient on to this one; -1 if none did."""
        best = (0.0, -1)
        for consumer, slot in self._graph.consumers[at]:
            step = self._graph.steps[consumer]
            size = step.out[slot] if step.fired else None
            if size is not None and size == size:
                best = max(best, (size, consumer))
        return best[1]

    def _place(self, at: int) -> _Place:
        steps, above = self._graph.steps, self._above(at)
        index = self.tape.op_of_node(steps[at].sequence)
        op = self.tape.ops[index] if index >= 0 else None
        drop = _drop(largest(steps[above].into), largest(steps[at].into)) if above >= 0 else 0.0
        place = self._places[at] = _Place(op, op is not None and bool(self.params(op)), above, drop)
        return place

    def params(self, op: Op) -> list[int]:
        """The parameters among the inputs of an operation that is more than a view."""
        found = self._params.get(op.index)
        if found is None:
            uids = [] if op.name in VIEWS else [self._param_of(v) for v, _ in op.inputs]
            found = self._params[op.index] = [uid for uid in uids if uid >= 0]
        return found

    def _param_of(self, value: int) -> int:
        """The parameter a value is, or is a view or cast of; -1 if it is none."""
        for _ in range(4):
            at = self.tape.values[value]
            if at.param >= 0 or at.op < 0 or self.tape.ops[at.op].name not in VIEWS or not at.parents:
                return at.param
            value = at.parents[0][0]
        return -1

    def sources(self, way: Way) -> Sources:
        """All operations that the gradient's size depends on: those on the way and what they were computed from.

        Mostly the first was computed from all others; then they are the same ones for every way from there.
        """
        ops = [op for op in way.ops if op is not None]
        first = ops[0].index if ops else -1
        if first not in self._sources:
            self._sources[first] = self._computed_from(ops[:1])
        known = self._sources[first]
        if all(op.index in known.numbers for op in ops):
            return known
        return self._computed_from(ops)

    def _computed_from(self, ops: list[Op]) -> Sources:
        found: dict[int, Op] = {op.index: op for op in ops}
        todo = [v for op in ops for v, _ in op.inputs]
        seen = set(todo)
        while todo and len(seen) < MOST:
            value = self.tape.values[todo.pop()]
            if value.op >= 0:
                found.setdefault(value.op, self.tape.ops[value.op])
            if value.param >= 0:
                continue
            for parent, _ in value.parents:
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return Sources([found[index] for index in sorted(found)], found.keys())

    def used(self, ops: Iterable[Op | None]) -> list[int]:
        """The parameters that operations work with, each once."""
        return list(dict.fromkeys(u for op in ops if op is not None for u in self.params(op)))


def largest(values: list[float | None]) -> float:
    """The largest of some sizes; 0 if there is none."""
    return max((v for v in values if v is not None and v == v), default=0.0)


def _drop(before: float, after: float) -> float:
    return math.log(before / after) if before > 0 and after > 0 and math.isfinite(before / after) else 0.0


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
