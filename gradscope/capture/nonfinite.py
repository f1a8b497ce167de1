"""NaN and Inf: where in a traced step the first one was born, in the forward pass or in the backward pass."""

from __future__ import annotations

import dataclasses
import math
from collections import deque

from gradscope.capture.backward import GraphWalk, Step
from gradscope.capture.nonfinite_causes import is_literal
from gradscope.capture.origins import Found, OriginsAbove, found_at
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.tape import BadData, Op, Tape
from gradscope.capture.zero_causes import base_name
from gradscope.records import MADE_OF_DATA
from gradscope.records.traced import CAME_IN

_ELEMENTWISE = {
    "Mul", "Div", "Add", "Sub", "Neg", "View", "Squeeze", "Unsqueeze", "Expand", "Reshape", "Exp", "Pow", "Clone",
    "Rsub", "Abs", "Reciprocal", "Select", "Slice", "Permute", "Transpose", "Log", "Sum", "Index", "ToCopy", "Atan",
    "Atan2", "Sin", "Cos", "Tan", "Asin", "Acos", "Tanh", "Sigmoid", "Softplus", "Sqrt", "Rsqrt", "Log1P", "Log2",
    "Log10", "Expm1", "Exp2", "Sinh", "Cosh", "Atanh", "Asinh", "Acosh", "Erf", "Clamp", "Relu", "Maximum", "Minimum",
    "Addcmul", "Addcdiv", "Lerp", "Sign", "Xlogy",
}  # fmt: skip
_SUMS = ("linear", "matmul", "__matmul__", "mm", "bmm", "einsum", "conv1d", "conv2d", "conv3d")
"""Operations that add up products: of infinities of both signs they make NaN without any zero."""


class NonfiniteFinder:
    """Reads a recorded graph walk against the tape."""

    def __init__(self, tape: Tape, registry: Registry) -> None:
        self.tape = tape
        self.registry = registry

    def find(self, graph: GraphWalk, delivered: dict[int, float | None], root: int) -> list[Found]:
        """One origin for each parameter whose gradient is NaN or Inf."""
        if root >= 0 and self.tape.values[root].bad and any(map(self._spoilt, delivered)):
            return []  # an earlier step did it: its weights are NaN already
        forward = self._forward_born(root)
        found: list[Found] = []
        known = OriginsAbove(graph, lambda s, slot: not _finite(s.out[slot]), lambda s: all(map(_finite, s.into)))
        for leaf, variable in graph.leaves.items():
            uid = self.registry.uid(variable)
            norm = delivered.get(uid)
            if uid < 0 or norm is None or math.isfinite(norm):
                continue
            kind = "nan" if math.isnan(norm) else "inf"
            if forward is not None:
                found.append(dataclasses.replace(forward, kind=kind, uid=uid))
                continue
            above = known.of(leaf)
            if not above:
                continue
            step = graph.steps[above[0]]
            cause, _ = step.cause or ("unknown", 0)
            if self._under_where(graph, above[0]):
                cause = "where_untaken_branch"
            elif step.name.startswith("Div"):
                cause = self._division(step, cause)
            kept = self._kept(step) if cause != "where_untaken_branch" else None
            if kept is not None:
                found.append(dataclasses.replace(kept, kind=kind, uid=uid))
                continue
            found.append(found_at(self.tape, kind, cause, uid, step))
        return found

    def _division(self, step: Step, cause: str) -> str:
        op = self.tape.op_of_node(step.sequence)
        if op < 0 or len(self.tape.ops[op].inputs) < 2:
            return cause
        maker = self.tape.values[self.tape.ops[op].inputs[1][0]].op
        name = self.tape.ops[maker].name if maker >= 0 else ""
        return (
            "norm_division_by_zero" if name in ("norm", "vector_norm", "linalg_norm", "linalg_vector_norm") else cause
        )

    def _kept(self, step: Step) -> Found | None:
        """Where a NaN was born that an operation kept for its backward pass.

        Its place in the result may be masked or left out, so that the loss is finite; but zero times NaN is NaN.
        """
        op = self.tape.op_of_node(step.sequence)
        inputs = self.tape.ops[op].inputs if op >= 0 else ()
        born = [self._forward_born(value) for value, _ in inputs if self.tape.values[value].bad == "nan"]
        return next((found for found in born if found is not None), None)

    def _under_where(self, graph: GraphWalk, number: int) -> bool:
        todo, seen = deque([(number, 0)]), {number}
        while todo:
            at, depth = todo.popleft()
            for consumer, _ in graph.consumers[at]:
                base = base_name(graph.steps[consumer].name)
                if base in ("Where", "SWhere"):
                    return True
                if depth < 6 and consumer not in seen and base in _ELEMENTWISE:
                    seen.add(consumer)
                    todo.append((consumer, depth + 1))
        return False

    def _spoilt(self, uid: int) -> bool:
        """Whether a parameter holds NaN now, between the pass and the step: so it did in the forward pass."""
        tensor = self.registry.tensor(uid)
        return tensor is not None and bool(tensor.detach().isnan().any())

    def _forward_born(self, root: int) -> Found | None:
        """The first operation on the way to a NaN or Inf loss that made one out of finite values."""
        values, ops = self.tape.values, self.tape.ops
        if root < 0 or not values[root].bad:
            return None
        seen, todo = {root}, [root]
        while todo:
            value = values[todo.pop()]
            if value.param >= 0 and not value.bad:
                continue  # finite weights: what was in their memory before they got their first values is gone
            for parent, _ in value.parents:
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        wanted = ("nan",) if values[root].bad == "nan" else ("nan", "inf")
        born = [v for v in seen if values[v].bad in wanted and self._clean(v, wanted)]
        if not born:
            return None
        first = min(born, key=lambda v: values[v].op if values[v].op >= 0 else len(ops))
        if values[first].op < 0:
            return self._bad_data(first, seen)
        return self._born(first, seen)

    def _clean(self, value: int, wanted: tuple[str, ...]) -> bool:
        return not any(self.tape.values[p].bad in wanted for p, _ in self.tape.values[value].parents)

    def _born(self, value: int, seen: set[int]) -> Found:
        """An operation made it; if out of an Inf that was computed, the operation that made the Inf."""
        op = self.tape.ops[self.tape.values[value].op]
        if op.bad == "nan_in_data" and is_literal(op.name):
            return self._bad_data(value, seen)
        if op.bad == "nan_in_data":
            return Found("nan", op.bad, -1, op.index, MADE_OF_DATA, op.stack)
        makers = [m for m in self._infinities(value) if not is_literal(m.name)]
        if makers:
            op = min(makers, key=lambda m: m.index)
        elif op.name in _SUMS and op.bad == "inf_times_zero" and (given := self._given(value)):
            return self._bad_data(min(given), seen)
        return Found("nan", op.bad or "unknown", -1, op.index, op.name, op.stack)

    def _infinities(self, value: int) -> list[Op]:
        """Operations that made, out of finite values, an Inf that a NaN was made of."""
        seen, todo, makers = {value}, [value], []
        while todo:
            for parent, _ in self.tape.values[todo.pop()].parents:
                if parent not in seen and self.tape.values[parent].bad:
                    seen.add(parent)
                    todo.append(parent)
                    if self._clean(parent, ("nan", "inf")) and self.tape.values[parent].op >= 0:
                        makers.append(self.tape.ops[self.tape.values[parent].op])
        return makers

    def _given(self, value: int) -> list[int]:
        """What a value was made of that is data and held NaN or Inf when it came, or was given it."""
        values, ops = self.tape.values, self.tape.ops
        todo, found = [value], {value}
        while todo:
            fresh = {p for p, _ in values[todo.pop()].parents if values[p].bad} - found
            found |= fresh
            todo.extend(fresh)
        data = (v for v in found if values[v].param < 0 and not values[v].requires)
        return [v for v in data if values[v].op < 0 or is_literal(ops[values[v].op].name)]

    def _bad_data(self, value: int, seen: set[int]) -> Found:
        """The data held it: the line is the first that mixed it into something else."""
        made = {self.tape.values[v].op for v in seen if self.tape.values[v].bad and self.tape.values[v].op >= 0}
        op = min((o for o in made if self._mixes(o)), default=-1)
        record = self.tape.ops[op] if op >= 0 else None
        name, stack = (record.name, record.stack) if record else ("", EMPTY)
        data = self.tape.bad_data.get(value, BadData(""))
        if data.made.frames:
            name, stack = CAME_IN, Stack((*data.made.frames, *stack.frames))
        return Found("nan", "nan_in_data", -1, op, name, stack, data.words)

    def _mixes(self, number: int) -> bool:
        """Whether an operation reads bad data together with something that is trained."""
        inputs = self.tape.ops[number].inputs
        return any(self.tape.values[v].bad for v, _ in inputs) and any(r for _, r in inputs)


def _finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)
