"""Projections: what is written into a parameter and made of that parameter, clamped, scaled or with a part filled."""

from __future__ import annotations

from gradscope.capture.tape import Op, Tape

MOST = 64
"""Values that are followed back."""


def projects(tape: Tape, uid: int, op: Op, name: str, *, copies: bool) -> bool:
    """Whether what is written was computed from what the parameter is since the last step, and from no other.

    A mixture with another parameter (a moving average) is no projection: it may well be all of the other. Nor is what
    is copied from elsewhere, into all of it or a part; a part that is filled with a number is.
    """
    since = tape.steps[-1] if tape.steps else 0
    todo = [v for v, _ in (op.inputs if name == "data" else op.inputs[1:])]
    copies |= name == "__setitem__" and any(tape.values[v].floating for v in todo)
    found: set[int] = set()
    for _ in range(MOST):
        if not todo:
            break
        value = tape.values[todo.pop()]
        found.add(value.param)
        if value.op >= since and value.param < 0:
            todo.extend(v for v, _ in value.parents)
    found.discard(-1)
    return found == {uid} if copies else found <= {uid}
