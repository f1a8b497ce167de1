"""Zeros: at which node of a traced backward a parameter's gradient became zero, and why."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, deque

from gradscope.capture.backward import COLLAPSE, GraphWalk, Step
from gradscope.capture.constants import behind
from gradscope.capture.grad_hooks import GradHooks
from gradscope.capture.margins import MARGIN_LOSSES, Margins
from gradscope.capture.met import met
from gradscope.capture.origins import Found, OriginsAbove, found_at
from gradscope.capture.overflow import overflow_behind
from gradscope.capture.overwrites import overwritten
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY, Stack, resolve
from gradscope.capture.tape import Tape
from gradscope.capture.zero_causes import base_name
from gradscope.capture.zero_makers import Makers
from gradscope.records import traced

NOISE = 1e-4
"""What rounding leaves of a gradient that is zero by mathematics stays below this; see GS201."""
_PAIR = {0: 1, 1: 0}
_OTHER_FACTOR = {
    "Mul": _PAIR, "Div": _PAIR, "Mm": _PAIR, "Bmm": _PAIR, "Mv": _PAIR, "Dot": _PAIR, "Addmm": {1: 1, 2: 0},
    "Baddbmm": {1: 1, 2: 0}, "Convolution": _PAIR, "Linear": _PAIR, "MkldnnLinear": _PAIR,
}  # fmt: skip
"""Per product node: which argument of the torch call is the other factor of each of the node's inputs."""

_MATRICES = ("Mm", "Bmm", "Mv", "Addmm", "Baddbmm", "Convolution", "Linear", "MkldnnLinear")
_JOINS = ("Stack", "Cat")
_VIEWS = (
    "View", "UnsafeView", "Reshape", "Permute", "Transpose", "T", "Unsqueeze", "Squeeze", "Expand", "Clone", "Alias",
)  # fmt: skip
"""Nodes that pass on what they are given, elsewhere in memory."""
_TOLD_AT_ITS_OWN_LINE = ("dead_relu", "constant_output", "zero_derivative", "saturated_activation", "zero_multiplier")
_PRODUCTS = ("mul", "__mul__", "__rmul__", "mul_", "__imul__")


class ZeroFinder:
    """Reads a recorded graph walk against the tape."""

    def __init__(self, tape: Tape, registry: Registry, hooks: GradHooks) -> None:
        self.tape = tape
        self.registry = registry
        self.hooks = hooks
        self.margins = Margins(tape)
        self.makers = Makers(tape, registry, self.margins)

    def find(self, graph: GraphWalk, delivered: dict[int, float | None]) -> list[Found]:
        """One origin for each parameter that was sent zeros, or whose gradient became zero on arrival."""
        found: list[Found | None] = []
        self._judged: dict[int, Found] = {}
        self._undefined_above = OriginsAbove(graph, lambda s, slot: s.out[slot] is None, _came)
        self._zero_above = OriginsAbove(
            graph, lambda s, slot: _dead(s.out[slot]), lambda s: not all(map(_dead, s.into))
        )
        constant = behind(self.tape, graph)
        for leaf, variable in graph.leaves.items():
            uid = self.registry.uid(variable)
            if uid < 0:
                continue
            norm = delivered.get(uid)
            if leaf in constant and norm is not None and norm < NOISE:
                found.append(self._constant(constant[leaf], uid))
                continue
            sent = [graph.steps[c].out[slot] for c, slot in graph.consumers[leaf] if graph.steps[c].fired]
            arrived = [s for s in sent if s is not None]
            if sent and not arrived:
                found.append(self._undefined(graph, leaf, uid))
            elif uid in delivered and delivered[uid] is None:
                continue
            elif (arrived and not any(arrived)) or self._faint(graph, arrived):
                found.append(self._zero(graph, leaf, uid))
            elif delivered.get(uid) == 0.0 and arrived:
                found.append(self._lost_on_arrival(graph, leaf, uid, len(arrived), delivered))
        return [f for f in found if f is not None]

    def _constant(self, op: int, uid: int) -> Found:
        made = self.tape.ops[op]
        return Found("zero", "constant_output", uid, op, made.name, made.stack)

    def _faint(self, graph: GraphWalk, arrived: list[float]) -> bool:
        top = max((s for s in graph.steps[0].into if s is not None), default=0.0)
        return bool(arrived) and math.isfinite(top) and max(arrived) < top * COLLAPSE * COLLAPSE

    def _undefined(self, graph: GraphWalk, leaf: int, uid: int) -> Found | None:
        """Connected, yet a node sent nothing at all: a custom function that returned None."""
        above = self._undefined_above.of(leaf)
        if not above:
            return None
        step = graph.steps[above[0]]
        return found_at(self.tape, "none", "custom_function", uid, step)

    def _zero(self, graph: GraphWalk, leaf: int, uid: int) -> Found | None:
        above = self._zero_above.of(leaf)
        if not above:
            cancelled = self._cancelled(graph, leaf)
            if cancelled is not None:
                return self._vanished_between(graph, cancelled, uid)
            given = found_at(self.tape, "zero", "zero_multiplier", uid, graph.steps[0])
            if all(map(_dead, graph.steps[0].into)):
                given.name, given.stack = traced.HANDED_IN, EMPTY
            return given
        judged = [self._settled(graph, number) for number in above]
        sure = [found for found in judged if found.cause == "satisfied_margin"] or judged
        ways = Counter((found.cause, found.stack) for found in sure)  # of a recurrence the first turn may differ
        return dataclasses.replace(max(sure, key=lambda found: ways[found.cause, found.stack]), uid=uid)

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
                found = found_at(self.tape, "zero", "grad_hook", uid, graph.steps[number])
                found.stack = self.tape.hooked[value]
                return found
        return found_at(self.tape, "zero", "cancelling_gradient", uid, graph.steps[graph.meeting(number)])

    def _settled(self, graph: GraphWalk, number: int) -> Found:
        """Why a node sent zeros."""
        if number not in self._judged:
            step = graph.steps[number]
            cause, operand = step.cause or ("unknown", 0)
            found = self._judged[number] = found_at(self.tape, "zero", cause, -1, step)
            hook = self.hooks.on_module(self.tape, step)
            if hook is None:
                self._settle(graph, found, number, operand)
            else:
                found.cause, found.stack = "grad_hook", Stack((*hook.frames, *found.stack.frames))
        return self._judged[number]

    def _settle(self, graph: GraphWalk, found: Found, number: int, operand: int) -> None:
        """Turn the node's own answer into a cause of the list, asking the tape about operands."""
        step, cause = graph.steps[number], found.cause
        if cause in ("masked", "unknown") and self._is_overwritten(graph, found, number, operand):
            return
        overflow = overflow_behind(self.tape, found.op)
        if overflow is not None:
            found.cause, found.op, found.stack, found.name = overflow.bad, overflow.index, overflow.stack, overflow.name
            return
        made = self.tape.ops[found.op].name if found.op >= 0 else ""
        if made in MARGIN_LOSSES:
            found.cause = "satisfied_margin"
        elif made == traced.DERIVATIVE:  # of what is linear in pieces, such as a ReLU
            found.cause, found.name = "zero_derivative", traced.DERIVATIVE
            found.stack = self.makers.apart(found.op)
        elif cause == "relu":
            self._ask_relu(graph, found)
        elif cause in ("operand_zero", "disjoint", "zero_multiplier") and base_name(step.name) in _OTHER_FACTOR:
            self._ask_operand(graph, found, step, operand, cause)
        elif cause in ("operand_zero", "disjoint"):
            self._ask_base(graph, found)
        elif cause == "raised_floor":
            found.cause = "clamp_out_of_range"
            found.name = traced.FLOOR if self.margins.near_loss(graph, number) else found.name
        elif cause == "one_sided_clamp" or self.margins.floor(found.op):
            found.cause = "satisfied_margin" if self.margins.near_loss(graph, number) else "clamp_out_of_range"
        if found.cause == "unknown" and base_name(step.name) in _JOINS:
            self._ask_user(graph, found, number)
        elif found.cause == "unknown" and self.margins.near_loss(graph, number):
            self._ask_loss(found)

    def _ask_relu(self, graph: GraphWalk, found: Found) -> None:
        """A ReLU lets nothing through: near a loss as it should, else for what it is given."""
        if self.margins.hinge(graph, found.op):
            found.cause = "satisfied_margin"
            return
        found.cause, source = self.makers.dead_relu(found.op)
        if source >= 0:
            made = self.tape.ops[source]
            found.op, found.name, found.stack = source, made.name, made.stack

    def _is_overwritten(self, graph: GraphWalk, found: Found, number: int, operand: int) -> bool:
        """Whether later writes into the same memory are what hides it: then the last of them is to blame."""
        over = overwritten(self.tape, graph, number, operand)
        if over is None:
            return False
        found.cause, found.name, found.op, found.stack = "masked", traced.OVERWRITTEN, over.op.index, over.op.stack
        path = resolve(over.victim.stack) if over.victim is not None else ()
        found.detail = f"overwrites what was computed at {path[-1]}" if path else ""
        return True

    def _ask_loss(self, found: Found) -> None:
        """A loss at its minimum is flat: its target is to blame where that is the prediction's own."""
        equal = met(self.tape, found.op)
        if equal is None:
            return
        found.cause, found.name = "satisfied_margin", traced.MET
        if equal.own is not None:
            found.cause, found.name = "constant_output", traced.MET_ITSELF
            found.op, found.stack = equal.own.index, equal.own.stack

    def _ask_user(self, graph: GraphWalk, found: Found, number: int) -> None:
        """Of several things put together one is multiplied by zeros, only views between: by what, if known."""
        path = {found.op}
        while len(graph.consumers[number]) == 1 and base_name(graph.steps[number].name) not in _OTHER_FACTOR:
            if not base_name(graph.steps[number].name).startswith((*_JOINS, *_VIEWS)):
                return
            number = graph.consumers[number][0][0]
            path.add(self.tape.op_of_node(graph.steps[number].sequence))
        user = found_at(self.tape, "zero", "unknown", -1, graph.steps[number])
        for value, _ in self.tape.ops[user.op].inputs if user.op >= 0 else ():
            answer, source = self.makers.of(value) if self.tape.values[value].op not in path else ("", -1)
            if answer:
                found.op, found.stack, found.name = user.op, user.stack, user.name
                self._answered(graph, found, answer, source)
                return

    def _ask_base(self, graph: GraphWalk, found: Found) -> None:
        """The derivative of a power, an absolute value or a norm is zero because all it was given is zero."""
        inputs = self.tape.ops[found.op].inputs if found.op >= 0 else ()
        found.cause = "unknown"
        if not inputs:
            return
        value = self.tape.values[inputs[0][0]]
        made = self.tape.ops[value.op] if value.op >= 0 else None
        answer, source = self.makers.of(inputs[0][0])
        if answer:
            self._answered(graph, found, answer, source)
        elif made is not None and made.name in _PRODUCTS:
            factors = [self.tape.values[v] for v, _ in made.inputs]
            found.cause = "masked" if len(factors) > 1 and all(f.size for f in factors) else "zero_multiplier"

    def _answered(self, graph: GraphWalk, found: Found, answer: str, source: int) -> None:
        """Who made a zero is known: blame it, unless it only passed on what it was told (a mask)."""
        found.cause = answer
        if source < 0 or answer not in _TOLD_AT_ITS_OWN_LINE:
            return
        found.op, found.stack = source, self.makers.apart(source)
        if self.tape.ops[source].name == traced.DERIVATIVE or answer == "zero_multiplier":
            found.name = self.makers.how(source) if answer == "zero_multiplier" else traced.DERIVATIVE
        if answer == "dead_relu" and self.margins.hinge(graph, source):
            found.cause = "satisfied_margin"

    def _ask_operand(self, graph: GraphWalk, found: Found, step: Step, operand: int, cause: str) -> None:
        """A product was zero because of its other factor: find who made that factor."""
        found.cause = {"disjoint": "masked", "zero_multiplier": "zero_multiplier"}.get(cause, "zero_multiplier")
        inputs = self.tape.ops[found.op].inputs if found.op >= 0 else ()
        other = _OTHER_FACTOR[base_name(step.name)].get(operand, -1)
        if not 0 <= other < len(inputs):
            return
        answer, source = self.makers.of(inputs[other][0])
        given = self.makers.given(inputs[other][0], answer, source) if base_name(step.name) in _MATRICES else -1
        if given >= 0:
            found.cause, found.name = self.makers.zeroed_by(given), traced.ZERO_INPUT
            found.op, found.stack = given, self.tape.ops[given].stack
        elif answer:
            self._answered(graph, found, answer, source)

    def _lost_on_arrival(
        self, graph: GraphWalk, leaf: int, uid: int, ways: int, delivered: dict[int, float | None]
    ) -> Found | None:
        consumer = graph.steps[graph.consumers[leaf][0][0]]
        hook = self.hooks.on_parameter(uid, graph.leaves[leaf])
        if hook is not None:
            found = found_at(self.tape, "zero", "grad_hook", uid, consumer)
            found.stack = hook
            variables = {self.registry.uid(variable): variable for variable in graph.leaves.values()}
            if self.hooks.spares(hook, {u: v for u, v in variables.items() if delivered.get(u)}):
                found.name = traced.SELECTIVE
            return found
        if ways > 1:
            return found_at(self.tape, "zero", "cancelling_gradient", uid, graph.steps[graph.meeting(leaf)])
        return None


def _came(step: Step) -> bool:
    return any(value is not None for value in step.into)


def _dead(value: float | None) -> bool:
    return value is None or value == 0.0 or value < 1e-18
