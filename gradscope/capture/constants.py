"""Constants: operations whose result is the same whatever they are given.

Values minus their mean over one element are zero, divided by their sum or norm over one element they are one. Only the
gradient of what is zero is exactly zero; that of a ratio is rounding noise.
"""

from __future__ import annotations

from typing import Any

import torch

from gradscope.capture.backward import GraphWalk
from gradscope.capture.margins import SUBTRACTIONS
from gradscope.capture.tape import Op, Tape

_RATIOS = {"div", "__truediv__", "true_divide", "mul", "__mul__", "normalize"}
_REDUCTIONS = {
    "mean", "sum", "nanmean", "nansum", "max", "min", "amax", "amin", "norm", "vector_norm", "linalg_vector_norm",
    "linalg_norm", "median", "logsumexp", "std", "var", "prod", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "max_pool1d", "max_pool2d",
}  # fmt: skip
_NEAR = 8
"""Operations between a value and what it is related to: a mean, views, a cast."""
_FUNCTIONS = 3
"""Operations on single numbers that may have been done once for the value and once more for what it is related to."""
_ALIKE = 1e-5
"""Relative difference between results that are one and the same, but for rounding (float32: 6e-8 each operation)."""


def is_constant(tape: Tape, op: Op, args: Any, made: torch.Tensor) -> bool:
    """Whether it relates values to what was computed from each of them alone, and the result is the same for all.

    Where it was computed from several of them together they are all alike for now, which may change.
    """
    if op.name == "group_norm" and made.requires_grad:
        return _lone_groups(args)
    if (op.name not in _RATIOS and op.name not in SUBTRACTIONS) or not made.requires_grad:
        return False
    if op.name != "normalize" and not (len(op.inputs) == 2 and _own(tape, op)):
        return False
    result = tape.values[op.outputs[0]]
    if result.size == 0.0:
        return op.name in SUBTRACTIONS and all(tape.values[v].size for v, _ in op.inputs)
    given = args[0] if args and tape.values[op.inputs[0][0]].size else None
    return isinstance(given, torch.Tensor) and result.numel > 1 and _alike(made) and not _alike(given)


def _lone_groups(args: Any) -> bool:
    """Whether each group that is normalised has one element."""
    if len(args) < 2 or not isinstance(args[0], torch.Tensor) or not isinstance(args[1], int):
        return False
    return args[0].ndim > 1 and args[0].numel() == args[0].shape[0] * args[1]


def _alike(tensor: torch.Tensor) -> bool:
    sizes = tensor.detach().abs()
    return float(sizes.min()) >= (1 - _ALIKE) * float(sizes.max())


def _own(tape: Tape, op: Op) -> bool:
    (a, a_requires), (b, b_requires) = op.inputs
    alike = a_requires and b_requires and a != b and tape.values[a].numel == tape.values[b].numel
    return alike and (_derives(tape, a, b) or _derives(tape, b, a))


def _derives(tape: Tape, source: int, value: int) -> bool:
    """Whether a value is a reduction, within a few operations, of another one or of what that is a function of."""
    sources = {source}
    for _ in range(_FUNCTIONS):
        made = tape.values[source]
        if len(made.parents) != 1 or tape.values[made.parents[0][0]].numel != made.numel:
            break
        source = made.parents[0][0]
        if tape.values[source].param < 0:
            sources.add(source)
    todo, seen = {(value, False)}, {(value, False)}
    for _ in range(_NEAR):
        todo = {(p, how or _reduces(tape, v)) for v, how in todo for p, live in tape.values[v].parents if live} - seen
        if any(how and v in sources for v, how in todo):
            return True
        seen |= todo
    return False


def _reduces(tape: Tape, value: int) -> bool:
    made = tape.values[value].op
    return made >= 0 and tape.ops[made].name in _REDUCTIONS


def behind(tape: Tape, graph: GraphWalk) -> dict[int, int]:
    """Per leaf of the graph all of whose ways to the loss lead through such operations: the one nearest to it."""
    constant = {n: op for n, s in enumerate(graph.steps) if (op := tape.op_of_node(s.sequence)) in tape.constant}
    around = graph.below([0], constant) if constant else set()
    found: dict[int, int] = {}
    claimed: set[int] = set()
    for number, op in sorted(constant.items(), key=lambda item: item[1]):
        below = graph.below([n for n, _ in graph.steps[number].next], claimed)
        claimed |= below
        found.update({leaf: op for leaf in below - around if leaf in graph.leaves})
    return found
