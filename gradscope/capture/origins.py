"""Origins: where in a traced backward a gradient became zero, NaN, Inf, tiny or huge. What its finders share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from gradscope.capture.backward import GraphWalk, Step
from gradscope.capture.nonfinite_causes import backward_cause
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.tape import Tape
from gradscope.capture.zero_causes import zero_cause


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


def explain(step: Step, operand: int, grads: Any) -> tuple[str, int] | None:
    """Asked by the recorder while a node's saved values are there."""
    out = step.out[operand]
    if out is not None and not isfinite(out):
        return backward_cause(step.node, step.name, operand, grads)
    return zero_cause(step.node, step.name, operand, grads)


def origins_above(
    graph: GraphWalk, leaf: int, bad: Callable[[Step, int], bool], sound: Callable[[Step], bool]
) -> list[int]:
    """From a leaf towards the loss along bad edges: the nodes given something sound, the nearest to the loss first."""
    todo, seen = deque([leaf]), {leaf}
    origins: set[int] = set()
    while todo:
        at = todo.popleft()
        for consumer, slot in graph.consumers[at]:
            step = graph.steps[consumer]
            if not step.fired or not bad(step, slot):
                continue
            if sound(step):
                origins.add(consumer)
            elif consumer not in seen:
                seen.add(consumer)
                todo.append(consumer)
    return sorted(origins)


def found_at(tape: Tape, kind: str, cause: str, uid: int, step: Step) -> Found:
    """An origin at the operation that made a node."""
    op = tape.op_of_node(step.sequence)
    return Found(kind, cause, uid, op, step.name, tape.ops[op].stack if op >= 0 else EMPTY)


def group(found: Iterable[Found]) -> list[tuple[Found, frozenset[int]]]:
    """Origins of several parameters that are one and the same, together."""
    together: dict[tuple[str, str, int, Stack], tuple[Found, set[int]]] = {}
    for item in found:
        key = (item.kind, item.cause, item.op, item.stack)
        together.setdefault(key, (item, set()))[1].add(item.uid)
    return [(item, frozenset(uids)) for item, uids in together.values()]
