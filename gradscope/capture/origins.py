"""Origins: after a traced backward, where each parameter's gradient became zero, NaN, Inf, tiny or huge."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gradscope.capture.backward import COLLAPSE, GraphWalk, Step
from gradscope.capture.nonfinite_causes import backward_cause, is_literal
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.tape import Op, Tape
from gradscope.capture.zero_causes import base_name, zero_cause


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
    if out is not None and not math.isfinite(out):
        return backward_cause(step.node, step.name, operand, grads)
    return zero_cause(step.node, step.name, operand, grads)


class OriginFinder:
    """Reads a recorded graph walk against the tape."""

    def __init__(self, tape: Tape, registry: Registry, hook_lines: dict[int, Stack]) -> None:
        self.tape = tape
        self.registry = registry
        self.hook_lines = hook_lines

    def zeros(self, graph: GraphWalk, delivered: dict[int, float | None]) -> list[Found]:
        """One origin for each parameter that was sent zeros, or whose gradient became zero on arrival."""
        found = []
        for leaf, variable in graph.leaves.items():
            uid = self.registry.uid(variable)
            if uid < 0 or delivered.get(uid) is None and uid in delivered:
                continue
            sent = [graph.steps[c].out[slot] for c, slot in graph.consumers[leaf] if graph.steps[c].fired]
            arrived = [s for s in sent if s is not None]
            if sent and not arrived:
                found.append(self._undefined(graph, leaf, uid))
            elif arrived and not any(arrived) or self._faint(graph, arrived):
                found.append(self._zero(graph, leaf, uid))
            elif delivered.get(uid) == 0.0 and arrived:
                found.append(self._lost_on_arrival(graph, leaf, uid, len(arrived)))
        return [f for f in found if f is not None]

    def _faint(self, graph: GraphWalk, arrived: list[float]) -> bool:
        top = max((s for s in graph.steps[0].into if s is not None), default=0.0)
        return bool(arrived) and math.isfinite(top) and max(arrived) < top * COLLAPSE * COLLAPSE

    def _undefined(self, graph: GraphWalk, leaf: int, uid: int) -> Found | None:
        """Connected, yet a node sent nothing at all: a custom function that returned None."""
        step = self._climb(graph, leaf, lambda s, slot: s.out[slot] is None, lambda s: any(v is not None for v in s.into))
        if step is None:
            return None
        found = self._found("none", "custom_function", uid, step)
        if step.where.frames:
            found.stack = Stack((*step.where.frames, *found.stack.frames))
        return found

    def _zero(self, graph: GraphWalk, leaf: int, uid: int) -> Found | None:
        def dead(value: float | None) -> bool:
            return value is None or value == 0.0 or value < 1e-18

        step = self._climb(
            graph, leaf, lambda s, slot: dead(s.out[slot]), lambda s: any(v is not None and not dead(v) for v in s.into)
        )
        if step is None:
            cancelled = self._cancelled(graph, leaf)
            if cancelled is not None:
                return self._vanished_between(graph, cancelled, uid)
            return self._found("zero", "zero_multiplier", uid, graph.steps[0])
        cause, operand = step.cause or ("unknown", 0)
        return self._settle(graph, graph.steps.index(step), cause, operand, uid)

    def _cancelled(self, graph: GraphWalk, leaf: int) -> int | None:
        """A node whose users sent gradients that add up to zero: where their ways met in the forward pass."""
        todo, seen = deque([leaf]), {leaf}
        while todo:
            at = todo.popleft()
            sent = [graph.steps[c].out[slot] for c, slot in graph.consumers[at] if graph.steps[c].fired]
            if any(sent) and not any(graph.steps[at].into):
                return at
            for consumer, _ in graph.consumers[at]:
                if consumer not in seen:
                    seen.add(consumer)
                    todo.append(consumer)
        return None

    def _vanished_between(self, graph: GraphWalk, number: int, uid: int) -> Found:
        """Users of a tensor sent gradients, its maker received zeros: a hook on it, or they cancelled."""
        maker = self.tape.op_of_node(graph.steps[number].sequence)
        for value in self.tape.ops[maker].outputs if maker >= 0 else ():
            if value in self.tape.hooked:
                found = self._found("zero", "grad_hook", uid, graph.steps[number])
                found.stack = self.tape.hooked[value]
                return found
        return self._found("zero", "cancelling_gradient", uid, graph.steps[self._meeting(graph, number)])

    def _meeting(self, graph: GraphWalk, number: int) -> int:
        """The node nearest to `number` through which all ways from it to the loss lead."""
        reached: dict[int, int] = {}
        starts = list(dict.fromkeys(c for c, _ in graph.consumers[number]))
        for start in starts:
            todo, seen = [start], {start}
            while todo:
                for consumer, _ in graph.consumers[todo.pop()]:
                    if consumer not in seen:
                        seen.add(consumer)
                        todo.append(consumer)
            for node in seen:
                reached[node] = reached.get(node, 0) + 1
        common = [node for node, count in reached.items() if count == len(starts)]
        return max(common, default=starts[0] if starts else number)

    def _settle(self, graph: GraphWalk, number: int, cause: str, operand: int, uid: int) -> Found:
        """Turn the node's own answer into a cause of the list, asking the tape about operands."""
        step = graph.steps[number]
        found = self._found("zero", cause, uid, step)
        if cause == "relu":
            found.cause = "satisfied_margin" if self._near_loss(graph, number) else "dead_relu"
        elif cause in ("operand_zero", "disjoint", "zero_multiplier") and base_name(step.name) in _OTHER_FACTOR:
            self._ask_operand(found, step, operand, cause)
        elif cause == "one_sided_clamp":
            found.cause = "satisfied_margin" if self._near_loss(graph, number) else "clamp_out_of_range"
        return found

    def _ask_operand(self, found: Found, step: Step, operand: int, cause: str) -> None:
        """A product was zero because of its other factor: who made that factor?"""
        found.cause = {"disjoint": "masked", "zero_multiplier": "zero_multiplier"}.get(cause, "zero_multiplier")
        inputs = self.tape.ops[found.op].inputs if found.op >= 0 else ()
        other = _OTHER_FACTOR[base_name(step.name)].get(operand, -1)
        if not 0 <= other < len(inputs):
            return
        answer, source = self._maker(inputs[other][0], 0)
        if answer:
            found.cause = answer
            if source >= 0 and answer == "dead_relu":
                found.op, found.stack = source, self.tape.ops[source].stack

    def _maker(self, value: int, depth: int) -> tuple[str, int]:
        maker = self.tape.values[value]
        if maker.param >= 0:
            tensor = self.registry.tensor(maker.param)
            return ("zero_init", -1) if tensor is not None and not bool(tensor.detach().any()) else ("", -1)
        if maker.op < 0 or depth > 12:
            return "", -1
        op = self.tape.ops[maker.op]
        if op.name in ("relu", "relu_", "threshold", "prelu", "relu6", "rrelu"):
            return "dead_relu", op.index
        if op.name in ("clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "clamp_"):
            return "dead_relu", op.index
        if op.name in ("masked_fill", "where", "masked_scatter", "triu", "tril", "dropout", "masked_fill_"):
            return "masked", op.index
        if not self.tape.values[value].floating or op.name in ("float", "to", "type_as", "double", "half"):
            if any(not self.tape.values[v].floating for v, _ in op.inputs):
                return "masked", op.index
        for parent, _ in op.inputs:
            cause, source = self._maker(parent, depth + 1)
            if cause:
                return cause, source
        return "", -1

    def _near_loss(self, graph: GraphWalk, number: int) -> bool:
        """Only reductions and sums of losses lie between a node and the loss: no weights."""
        todo, seen = deque([number]), {number}
        while todo:
            at = todo.popleft()
            for consumer, _ in graph.consumers[at]:
                if consumer in seen:
                    continue
                seen.add(consumer)
                base = base_name(graph.steps[consumer].name)
                if base not in _LOSS_ARITHMETIC:
                    return False
                todo.append(consumer)
        return True

    def _lost_on_arrival(self, graph: GraphWalk, leaf: int, uid: int, ways: int) -> Found | None:
        variable = graph.leaves[leaf]
        hooks = getattr(variable, "_backward_hooks", None)
        consumer = graph.steps[graph.consumers[leaf][0][0]]
        if hooks:
            found = self._found("zero", "grad_hook", uid, consumer)
            found.stack = self.hook_lines.get(uid) or _hook_code(hooks)
            return found
        if ways > 1:
            return self._found("zero", "cancelling_gradient", uid, graph.steps[self._meeting(graph, leaf)])
        return None

    def nonfinite(self, graph: GraphWalk, delivered: dict[int, float | None], root: int) -> list[Found]:
        """One origin for each parameter whose gradient is NaN or Inf."""
        forward = self._forward_born(root)
        found: list[Found] = []
        for leaf, variable in graph.leaves.items():
            uid = self.registry.uid(variable)
            norm = delivered.get(uid)
            if uid < 0 or norm is None or math.isfinite(norm):
                continue
            kind = "nan" if math.isnan(norm) else "inf"
            if forward is not None:
                found.append(Found(kind, forward.cause, uid, forward.op, forward.name, forward.stack))
                continue
            step = self._climb(
                graph,
                leaf,
                lambda s, slot: not _finite(s.out[slot]),
                lambda s: all(_finite(v) for v in s.into),
            )
            if step is None:
                continue
            cause, _ = step.cause or ("unknown", 0)
            if self._under_where(graph, graph.steps.index(step)):
                cause = "where_untaken_branch"
            elif step.name.startswith("Div"):
                cause = self._division(step, cause)
            found.append(self._found(kind, cause, uid, step))
        return found

    def _division(self, step: Step, cause: str) -> str:
        op = self.tape.op_of_node(step.sequence)
        if op < 0 or len(self.tape.ops[op].inputs) < 2:
            return cause
        maker = self.tape.values[self.tape.ops[op].inputs[1][0]].op
        name = self.tape.ops[maker].name if maker >= 0 else ""
        return "norm_division_by_zero" if name in ("norm", "vector_norm", "linalg_norm", "linalg_vector_norm") else cause

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

    def _forward_born(self, root: int) -> Found | None:
        """The first operation on the way to a NaN or Inf loss that made one out of finite values."""
        values, ops = self.tape.values, self.tape.ops
        if root < 0 or not values[root].bad:
            return None
        seen, todo = {root}, [root]
        while todo:
            for parent, _ in values[todo.pop()].parents:
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
        makers = [m for m in self._infinities(value) if not is_literal(m.name)]
        if makers:
            op = min(makers, key=lambda m: m.index)
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

    def _bad_data(self, value: int, seen: set[int]) -> Found:
        """The data held it: the line is the first that mixed it into something else."""
        made = {self.tape.values[v].op for v in seen if self.tape.values[v].bad and self.tape.values[v].op >= 0}
        op = min((o for o in made if self._mixes(o)), default=-1)
        record = self.tape.ops[op] if op >= 0 else None
        return Found("nan", "nan_in_data", -1, op, record.name if record else "", record.stack if record else EMPTY)

    def _mixes(self, number: int) -> bool:
        """Whether an operation reads bad data together with something that is trained."""
        inputs = self.tape.ops[number].inputs
        return any(self.tape.values[v].bad for v, _ in inputs) and any(r for _, r in inputs)

    # --- helpers ---------------------------------------------------------------------------------------------

    def _climb(self, graph: GraphWalk, leaf: int, bad: Any, sound: Any) -> Step | None:
        """From a leaf towards the loss along bad edges: the first node that was given something sound.

        Of several, the one nearest to the loss: what is below it follows from it.
        """
        todo, seen = deque([leaf]), {leaf}
        origins: list[int] = []
        while todo:
            at = todo.popleft()
            for consumer, slot in graph.consumers[at]:
                step = graph.steps[consumer]
                if not step.fired or not bad(step, slot):
                    continue
                if sound(step):
                    origins.append(consumer)
                elif consumer not in seen:
                    seen.add(consumer)
                    todo.append(consumer)
        margins = [o for o in origins if (graph.steps[o].cause or ("",))[0] in _HINGES and self._near_loss(graph, o)]
        return graph.steps[min(margins or origins)] if origins else None

    def _found(self, kind: str, cause: str, uid: int, step: Step) -> Found:
        op = self.tape.op_of_node(step.sequence)
        stack = self.tape.ops[op].stack if op >= 0 else EMPTY
        return Found(kind, cause, uid, op, step.name, stack)


_HINGES = ("satisfied_margin", "one_sided_clamp", "relu")
_PAIR = {0: 1, 1: 0}
_OTHER_FACTOR = {
    "Mul": _PAIR, "Div": _PAIR, "Mm": _PAIR, "Bmm": _PAIR, "Mv": _PAIR, "Dot": _PAIR, "Addmm": {1: 1, 2: 0},
    "Baddbmm": {1: 1, 2: 0}, "Convolution": _PAIR, "Linear": _PAIR, "MkldnnLinear": _PAIR,
}  # fmt: skip
"""Per product node: which argument of the torch call is the other factor of each of the node's inputs."""

_LOSS_ARITHMETIC = {
    "Mean", "Sum", "Add", "Sub", "Mul", "Div", "Neg", "Stack", "Cat", "Unsqueeze", "Squeeze", "View", "Reshape",
    "ToCopy", "Pow", "Select", "Index", "Rsub", "MaskedSelect", "Expand", "UnsafeView", "Alias", "Unbind", "Max", "Amax",
    "Permute", "Transpose", "T", "Clone", "Slice",
}  # fmt: skip
_ELEMENTWISE = {
    "Mul", "Div", "Add", "Sub", "Neg", "View", "Squeeze", "Unsqueeze", "Expand", "Reshape", "Exp", "Pow", "Clone", "Rsub",
    "Abs", "Reciprocal", "Select", "Slice", "Permute", "Transpose", "Log", "Sum", "Index", "ToCopy",
}  # fmt: skip


def _finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)


def _hook_code(hooks: dict[int, Any]) -> Stack:
    """Where the function of a gradient hook is defined."""
    for hook in hooks.values():
        code = getattr(hook, "__code__", None)
        if code is not None:
            return Stack(((code, -1),))
    return EMPTY


def group(found: Iterable[Found]) -> list[tuple[Found, frozenset[int]]]:
    """Origins of several parameters that are one and the same, together."""
    together: dict[tuple[str, str, int, Stack], tuple[Found, set[int]]] = {}
    for item in found:
        key = (item.kind, item.cause, item.op, item.stack)
        together.setdefault(key, (item, set()))[1].add(item.uid)
    return [(item, frozenset(uids)) for item, uids in together.values()]
