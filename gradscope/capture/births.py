"""Births: why an operation of the forward pass made NaN or Inf, worked out while its arguments are at hand."""

from __future__ import annotations

from typing import Any

from gradscope.capture.nonfinite_causes import forward_cause
from gradscope.capture.tape import Op, Tape

DATA_CAUSES = ("log_of_zero", "division_by_zero", "sqrt_at_zero", "pow_domain", "exp_overflow", "norm_division_by_zero",
               "unknown", "nan_in_data", "empty_or_single_reduction", "trig_domain_edge")  # fmt: skip
"""Causes that, in an operation on data alone and outside of any module, only mean that the data is not clean."""
_SHAPING = {"unsqueeze", "view", "reshape", "__getitem__", "expand", "expand_as", "detach", "__add__", "add", "keepdim"}


def explain_birth(tape: Tape, op: Op, args: Any) -> None:
    """Work out why an operation made NaN or Inf, while its arguments are at hand."""
    values = tape.values
    inputs = {values[v].bad for v, _ in op.inputs} - {""}
    if "nan" in inputs or (inputs and not any(values[v].bad == "nan" for v in op.outputs)):
        return
    maker = values[op.inputs[1][0]].op if len(op.inputs) > 1 else -1
    maker = _past_shaping(tape, maker)
    half = any(values[v].half for v in op.outputs)
    divides = tape.ops[maker].name if maker >= 0 else ""
    only_inf = all(values[v].bad != "nan" for v in op.outputs)
    op.bad = forward_cause(op.name, args, inputs, half, divides, only_inf=only_inf)
    if op.bad in DATA_CAUSES and op.module < 0 and not any(_trained(tape, v) for v, _ in op.inputs):
        op.bad = "nan_in_data"


def _trained(tape: Tape, value: int) -> bool:
    """Whether a value was computed from a parameter, with gradient or without."""
    todo, seen = [value], {value}
    while todo and len(seen) < 5000:
        at = tape.values[todo.pop()]
        if at.param >= 0 or at.requires:
            return True
        for parent, _ in at.parents:
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return False


def _past_shaping(tape: Tape, op: int) -> int:
    """The operation behind views and added epsilons."""
    for _ in range(4):
        if op < 0 or tape.ops[op].name not in _SHAPING or not tape.ops[op].inputs:
            break
        op = tape.values[tape.ops[op].inputs[0][0]].op
    return op
