"""Losses at their minimum: what they compare is equal, bit for bit, and there the derivative is exactly zero.

Either the model fits its data already, or what it is compared with was computed by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.capture.margins import SUBTRACTIONS
from gradscope.capture.tape import Op, Tape
from gradscope.capture.targets import SIZES

_LOSSES = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}
_BEFORE = 400
"""Values before a target that are asked whether it comes from what it is compared with."""


@dataclass(frozen=True, slots=True)
class Met:
    """A distance that is exactly zero."""

    own: Op | None
    """What computed the target, if it did so from the prediction or from parameters behind it."""


def met(tape: Tape, number: int) -> Met | None:
    """Whether an operation is the distance of two values that are equal, or that of zeros from zero."""
    op = tape.ops[number] if number >= 0 else None
    if op is None or op.name not in _LOSSES | SIZES or any(tape.values[v].size for v in op.outputs):
        return None
    pair = op.inputs
    if op.name in SIZES and pair:
        made = tape.values[pair[0][0]].op
        if made >= 0 and tape.ops[made].name in SUBTRACTIONS:
            pair = tape.ops[made].inputs
    predictions = [v for v, requires in pair if requires]
    targets = [v for v, requires in pair if not requires]
    if not predictions:
        return None
    if len(predictions) > len(set(predictions)):
        return Met(op)
    return Met(_own(tape, predictions[0], targets[0]) if targets else None)


def _own(tape: Tape, prediction: int, target: int) -> Op | None:
    """What made a target out of the prediction, or out of parameters that the prediction was computed from."""
    behind = _behind(tape, prediction)
    learned = {v for v in behind if tape.values[v].param >= 0 and tape.values[v].requires}
    made = tape.values[target].op
    if made < 0 or (learned | {prediction}).isdisjoint(_behind(tape, target)):
        return None
    return tape.ops[made]


def _behind(tape: Tape, value: int) -> set[int]:
    todo, seen = [value], {value}
    while todo and len(seen) < _BEFORE:
        for parent, _ in tape.values[todo.pop()].parents:
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return seen
