"""Lanes: for every value of the tape, whether it is part of the drawn turn and whether a gradient passes it.

One pass forward and one backward over the values, which stand in the order they were made: nothing here recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradscope.capture.sites import Sites
from gradscope.capture.tape import Tape
from gradscope.capture.turns import Turn

GRADIENTS_OFF = ("no_grad", "inference_mode")
_HIDDEN = ("function", "checkpoint")
"""Operations inside these run without gradients, and autograd goes around them."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Flags per value."""

    time: list[int]
    """The operation that was current when it was made."""
    learned: bytearray
    """Computed from a parameter, with or without gradient."""
    carry: bytearray
    """The gradient of a silent parameter could still come back through it."""
    kept: bytearray
    live: bytearray
    """The gradient of a loss of the turn passes it."""
    inner: bytearray
    """Inside a custom function or checkpoint whose result is live."""
    before: bytearray
    """It comes from an earlier turn and is not looked into."""
    shadow: bytearray
    """Computed from silent parameters where gradients are off, and still there: the cut is where it gets out."""


def read_lanes(tape: Tape, turn: Turn, silent: frozenset[int], sites: Sites) -> Lanes:
    """Sort all values of the tape for drawing one turn."""
    n = len(tape.values)
    lanes = Lanes([0] * n, *(bytearray(n) for _ in range(7)))
    carries_early = _forward(tape, silent, lanes, turn)
    _keep_carriers(tape, turn, sites, lanes)
    _backward(tape, turn, sites, lanes, carries_early)
    return lanes


def quieten(tape: Tape, lanes: Lanes, silent: set[int]) -> None:
    """Take back that a gradient passes the results of operations which were seen to get none."""
    for i, value in enumerate(tape.values):
        if value.op in silent and value.param < 0:
            lanes.live[i] = 0


def _forward(tape: Tape, silent: frozenset[int], lanes: Lanes, turn: Turn) -> bytearray:
    """What depends on parameters; returns what depends on silent ones, by any way, from before the loop."""
    early = bytearray(len(tape.values))
    now = -1
    for i, value in enumerate(tape.values):
        now = max(now, value.op)
        lanes.time[i] = now if value.op >= 0 else now + 1
        if value.param >= 0:
            lanes.learned[i] = 1
            lanes.carry[i] = early[i] = value.param in silent
            continue
        for parent, live in value.parents:
            if lanes.learned[parent]:
                lanes.learned[i] = 1
                if live and lanes.carry[parent]:
                    lanes.carry[i] = 1
                if early[parent] and lanes.time[i] < turn.first_root:
                    early[i] = 1
    return early


def _keep_carriers(tape: Tape, turn: Turn, sites: Sites, lanes: Lanes) -> None:
    """In the turn, all that silent parameters flow through and the first value behind their cut."""
    for i, value in enumerate(tape.values):
        if value.param >= 0 or not lanes.learned[i]:
            continue
        lanes.shadow[i] = _in_shadow(tape, sites, lanes, i)
        if turn.start <= lanes.time[i] < turn.end:
            if lanes.carry[i] or (value.op in sites.at and _is_cut(tape, lanes, i)):
                # What is computed from an earlier turn only, for a log, would hang in the air.
                lanes.kept[i] = any(lanes.kept[p] or tape.values[p].param >= 0 for p, _ in value.parents)
        elif value.op in sites.at:
            lanes.kept[i] = 1


def _is_cut(tape: Tape, lanes: Lanes, index: int) -> bool:
    """The first value behind a cut; not the tensor through which a parameter was written, which has its own."""
    value = tape.values[index]
    written = any(tape.values[other].param >= 0 for other in tape.ops[value.op].outputs)
    return not written and any(lanes.carry[parent] for parent, _ in value.parents)


def _in_shadow(tape: Tape, sites: Sites, lanes: Lanes, index: int) -> bool:
    value = tape.values[index]
    if value.op < 0 or tape.ops[value.op].cause not in GRADIENTS_OFF:
        return False
    off = tape.ops[value.op].blame.frames[:1]
    entered = value.op in sites.at and sites.at[value.op].cause in GRADIENTS_OFF
    for parent, _ in value.parents:
        if lanes.shadow[parent] and tape.ops[tape.values[parent].op].blame.frames[:1] == off:
            return True
        if entered and enters(tape, lanes, parent):
            return True
    return False


def enters(tape: Tape, lanes: Lanes, index: int) -> bool:
    """Whether a value is a silent parameter itself."""
    return tape.values[index].param >= 0 and bool(lanes.carry[index])


def _backward(tape: Tape, turn: Turn, sites: Sites, lanes: Lanes, early: bytearray) -> None:
    """From the losses of the turn to everything they were computed from."""
    values = tape.values
    reached = bytearray(len(values))
    for root in (root for each in turn.passes for root in each.roots):
        reached[root.value] = 1
        lanes.live[root.value] = values[root.value].requires
    for end in sites.ends:
        for value_ in tape.ops[end].outputs:
            reached[value_] = 1
    for i in range(len(values) - 1, -1, -1):
        if not reached[i]:
            continue
        lanes.kept[i] = 1
        for parent, live in parents_of(tape, sites, i):
            alive = lanes.live[i] and (live or hidden(tape, lanes, i, parent))
            if alive:
                lanes.live[parent] = 1
                lanes.inner[parent] = lanes.inner[parent] or not live
            outside = lanes.time[parent] < turn.start and values[parent].param < 0
            if outside and not alive and not early[parent] and values[parent].op not in sites.at:
                lanes.before[parent] = 1
                continue
            reached[parent] = 1
    for i in range(len(values)):
        if lanes.before[i] and lanes.kept[i]:
            lanes.before[i] = 0


def hidden(tape: Tape, lanes: Lanes, value: int, parent: int) -> bool:
    """Whether a gradient goes from `value` to `parent` around an operation that ran with gradients off."""
    child, source = tape.values[value], tape.values[parent]
    if source.op >= 0 and source.op == child.op:
        return len(child.parents) > 1 and not any(enters(tape, lanes, p) for p, _ in source.parents)
    if not lanes.inner[value] or source.op < 0 or any(enters(tape, lanes, p) for p, _ in source.parents):
        return False
    stack = tape.ops[source.op].stack
    return any(stack.has(mark) for mark in _HIDDEN)


def parents_of(tape: Tape, sites: Sites, index: int) -> Iterator[tuple[int, bool]]:
    """What a value was computed from. What a parameter was before matters only where it was cut from its source."""
    value = tape.values[index]
    if value.param < 0:
        yield from value.parents
        return
    for parent, live in value.parents:
        source = tape.values[parent]
        behind = tape.values[source.parents[0][0]].op if source.parents else -1
        if source.param != value.param and not sites.at.keys().isdisjoint((value.op, source.op, behind)):
            yield parent, live
