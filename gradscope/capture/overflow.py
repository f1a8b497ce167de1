"""Overflows behind zeros: a division by an Inf that was computed leaves zeros, and all that follows is finite."""

from __future__ import annotations

from gradscope.capture.nonfinite_causes import is_literal
from gradscope.capture.tape import Op, Tape

_OVERFLOWS = ("half_overflow", "exp_overflow")


def overflow_behind(tape: Tape, number: int) -> Op | None:
    """The first operation that overflowed among those whose Inf made zeros of what an operation was given."""
    if number < 0:
        return None
    todo = [v for v, _ in tape.ops[number].inputs]
    seen: set[int] = set()
    made: list[Op] = []
    while todo:
        index = todo.pop()
        value = tape.values[index]
        if index in seen or value.param >= 0 or value.op < 0:
            continue
        seen.add(index)
        op = tape.ops[value.op]
        if value.bad == "inf" and op.bad in _OVERFLOWS and not is_literal(op.name):
            made.append(op)
        elif value.bad == "inf" or (value.size == 0.0 and value.numel and value.floating):
            todo.extend(v for v, _ in value.parents)
    return min(made, key=lambda op: op.index, default=None)
