"""Origins: where in a traced backward a gradient became zero, NaN, Inf, tiny or huge. What its finders share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from gradscope.capture.backward import GraphWalk, Step
from gradscope.capture.nonfinite_causes import backward_cause
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.tape import Tape
from gradscope.capture.zero_causes import zero_cause
from gradscope.records import SELECTIVE, ZERO_INPUT


@dataclass(slots=True)
class Found:
    """An origin before it becomes a record: still with its stack and operation."""

    kind: str
    cause: str
    uid: int
    op: int
    name: str
    stack: Stack
    detail: str = ""
    layers: list[tuple[int, float]] = field(default_factory=list)
    """Of a gradient that is tiny or huge: see `steepest`."""


def explain(step: Step, operand: int, grads: Any) -> tuple[str, int] | None:
    """Asked by the recorder while a node's saved values are there."""
    out = step.out[operand]
    if out is not None and not isfinite(out):
        return backward_cause(step.node, step.name, operand, grads)
    return zero_cause(step.node, step.name, operand, grads)


class OriginsAbove:
    """From leaves towards the loss along bad edges: the nodes given something sound.

    What is above a node is worked out once, however many leaves lead there: a deep net has as many as it has layers.
    """

    def __init__(self, graph: GraphWalk, bad: Callable[[Step, int], bool], sound: Callable[[Step], bool]) -> None:
        self._graph = graph
        self._bad = bad
        self._sound = sound
        self._known: dict[int, frozenset[int]] = {}

    def of(self, leaf: int) -> list[int]:
        """The origins above a leaf, the nearest to the loss first."""
        todo = [leaf]
        while todo:
            at = todo[-1]
            if at in self._known:
                todo.pop()
                continue
            found: list[frozenset[int]] = []
            waiting = len(todo)
            for consumer, slot in self._graph.consumers[at]:
                step = self._graph.steps[consumer]
                if not step.fired or not self._bad(step, slot):
                    continue
                if self._sound(step):
                    found.append(frozenset((consumer,)))
                elif consumer in self._known:
                    found.append(self._known[consumer])
                else:
                    todo.append(consumer)
            if len(todo) == waiting:
                self._known[at] = found[0] if len(set(found)) == 1 else frozenset().union(*found)
        return sorted(self._known[leaf])


def found_at(tape: Tape, kind: str, cause: str, uid: int, step: Step) -> Found:
    """An origin at the operation that made a node, or in the backward() of a user's autograd.Function."""
    op = tape.op_of_node(step.sequence)
    stack = tape.ops[op].stack if op >= 0 else EMPTY
    if cause != "zero_multiplier":  # that is a factor which the function was given
        stack = Stack((*step.where.frames, *stack.frames), stack.marks)
    return Found(kind, cause, uid, op, step.name, stack)


def group(found: Iterable[Found]) -> list[tuple[Found, frozenset[int]]]:
    """Origins of several parameters that are one and the same, together."""
    together: dict[tuple[str, str, int, str, Stack], tuple[Found, set[int]]] = {}
    for item in found:
        told = item.name if item.name in (ZERO_INPUT, SELECTIVE) else ""
        key = (item.kind, item.cause, item.op, told, item.stack)
        known, uids = together.setdefault(key, (item, set()))
        uids.add(item.uid)
        known.layers = max(known.layers, item.layers, key=len)
    return [(item, frozenset(uids)) for item, uids in together.values()]
