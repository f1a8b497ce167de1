"""Scales: why a gradient arrives tiny or huge, read along the strongest way from a parameter to the loss.

Every node of a traced backward knows the largest value that came in and went out. The way is cut at the
first operation that has a parameter: what happened before it is the loss's doing, what happened after it
the network's.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from gradscope.capture.backward import GraphWalk, Step
from gradscope.capture.origins import Found
from gradscope.capture.parameters import Registry
from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.tape import Op, Tape
from gradscope.capture.zero_causes import base_name

TINY = 1e-7
"""rms of a gradient below which a float32 weight of ordinary size (0.01 to 1) no longer moves; see GS401."""
HUGE = 1e3
"""rms of a gradient above which something on the way amplified it; ordinary losses give 1e-4 to 10; see GS402."""
SMALL_GAIN, LARGE_GAIN = 0.35, 2.5
"""rms(W) * sqrt(fan in): 0.58 for torch's default, 1.4 for Kaiming (He et al. 2015, eq. 10). Beyond: small or large."""
REPEATS = 8
"""Uses of one parameter along one way that make it a recurrence."""
BIG_DATA = 1e3
_SQUASH = {"Sigmoid", "Tanh", "Softmax", "LogSigmoid", "Softplus", "Erf", "Hardsigmoid", "Hardtanh", "Atan"}
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
_SUMS = {"sum", "nansum", "mse_loss", "l1_loss", "cross_entropy", "nll_loss", "smooth_l1_loss", "kl_div",
         "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "poisson_nll_loss",
         "huber_loss", "einsum"}  # fmt: skip


@dataclass(slots=True)
class Way:
    """The strongest way of one gradient from the loss (first) to a parameter (last)."""

    steps: list[Step]
    ops: list[Op | None]
    first: int
    """Position of the first operation, seen from the loss, that has a parameter among its inputs."""


class ScaleFinder:
    """Explains tiny and huge gradients of one recorded backward."""

    def __init__(self, tape: Tape, registry: Registry) -> None:
        self.tape = tape
        self.registry = registry

    def find(self, graph: GraphWalk, norms: dict[int, float | None]) -> list[Found]:
        """One origin for each parameter whose gradient is tiny or huge."""
        found = []
        for leaf, variable in graph.leaves.items():
            uid = self.registry.uid(variable)
            norm = norms.get(uid)
            if uid < 0 or norm is None or not math.isfinite(norm) or norm == 0.0 or variable.numel() == 0:
                continue
            rms = norm / math.sqrt(variable.numel())
            if TINY <= rms <= HUGE:
                continue
            way = self._way(graph, leaf)
            if way is not None:
                found.append(self._vanishing(way, uid) if rms < TINY else self._exploding(way, uid))
        return found

    def _way(self, graph: GraphWalk, leaf: int) -> Way | None:
        steps: list[Step] = []
        at, seen = leaf, {leaf}
        while graph.consumers[at]:
            sizes = [(graph.steps[c].out[slot] if graph.steps[c].fired else None, c) for c, slot in graph.consumers[at]]
            alive = [(size, c) for size, c in sizes if size is not None and size == size and c not in seen]
            if not alive:
                break
            at = max(alive)[1]
            seen.add(at)
            steps.append(graph.steps[at])
        if not steps:
            return None
        steps.reverse()
        indices = [self.tape.op_of_node(step.sequence) for step in steps]
        ops = [self.tape.ops[i] if i >= 0 else None for i in indices]
        first = next((i for i, op in enumerate(ops) if op is not None and self._params(op)), len(steps) - 1)
        return Way(steps, ops, first)

    def _params(self, op: Op) -> list[int]:
        return [self.tape.values[v].param for v, _ in op.inputs if self.tape.values[v].param >= 0]

    # --- tiny ------------------------------------------------------------------------------------------------

    def _vanishing(self, way: Way, uid: int) -> Found:
        entering = _size(way.steps[way.first].into)
        if entering < 10 * TINY:
            return self._tiny_loss(way, uid)
        repeated = self._recurrence(way)
        if repeated is not None:
            return self._found("vanishing", "long_recurrence", uid, repeated)
        inner = list(zip(way.steps[way.first :], way.ops[way.first :], strict=True))
        squashed = sum(_drop(step) for step, _ in inner if base_name(step.name) in _SQUASH)
        total = sum(_drop(step) for step, _ in inner)
        gains = [g for u in self._along(way) if (g := self._gain(u)) is not None]
        small = sum(g < SMALL_GAIN for g in gains)
        if squashed > 0.5 * total > 0:
            op = _usual([op for step, op in inner if base_name(step.name) in _SQUASH])
            return self._found("vanishing", "saturating_depth", uid, op)
        if gains and small >= 0.5 * len(gains):
            return self._found("vanishing", "small_init", uid, _usual([op for _, op in inner]), self._init_line(uid))
        return self._found("vanishing", "missing_residual", uid, _usual([op for _, op in inner if op and self._params(op)]))

    def _tiny_loss(self, way: Way, uid: int) -> Found:
        """The gradient is tiny before it reaches the first weights."""
        outer = list(zip(way.steps[: way.first], way.ops[: way.first], strict=True)) or [(way.steps[0], way.ops[0])]
        worst = max(outer, key=lambda pair: _drop(pair[0]))
        first = way.ops[way.first]
        others = set(self._params(first)) if first is not None else set()
        foreign = bool(others) and not others & set(self._family(uid))
        if base_name(worst[0].name) in _SQUASH | {"BinaryCrossEntropy", "Log"} and foreign:
            loss = next((op for _, op in outer if op is not None), worst[1])
            return self._found("vanishing", "saturating_gan_loss", uid, _usual([worst[1]]) or loss)
        return self._found("vanishing", "tiny_loss_scale", uid, worst[1])

    def _family(self, uid: int) -> tuple[int, ...]:
        owners = {owner.model for owner in self.registry.entries[uid].owners}
        return tuple(u for m in self.registry.models if m.name in owners for u in m.uids)

    # --- huge ------------------------------------------------------------------------------------------------

    def _exploding(self, way: Way, uid: int) -> Found:
        big = self._big_data(way)
        repeated = self._recurrence(way)
        gains = {u: g for u in self._along(way) if (g := self._gain(u)) is not None}
        large = [u for u, g in gains.items() if g > LARGE_GAIN]
        if repeated is not None:
            return self._found("exploding", "long_recurrence", uid, repeated)
        divided = self._tiny_division(way)
        if divided is not None:
            return self._found("exploding", "near_zero_normalisation", uid, divided)
        if len(large) >= max(1, 0.3 * len(gains)):
            return self._found("exploding", "large_init", uid, _usual(way.ops), self._init_line(large[0]))
        if big is not None:
            cause = "near_zero_normalisation" if big.name in _DIVISIONS else "unnormalised_data"
            return self._found("exploding", cause, uid, big)
        summed = self._sum(way)
        if summed is not None:
            return self._found("exploding", "sum_reduction", uid, summed)
        return self._found("exploding", "unknown", uid, None)

    def _big_data(self, way: Way) -> Op | None:
        """An operation on the way that reads large data: a batch, a target, or something computed from them alone."""
        for op in way.ops:
            for value, requires in op.inputs if op is not None else ():
                data = self.tape.values[value]
                if requires or data.param >= 0 or not data.floating or not BIG_DATA < data.size < math.inf:
                    continue
                maker = self.tape.ops[data.op] if data.op >= 0 else None
                return maker if maker is not None and maker.name in _DIVISIONS else op
        return None

    def _tiny_division(self, way: Way) -> Op | None:
        for step, op in zip(way.steps, way.ops, strict=True):
            base = base_name(step.name)
            grows = _size(step.out) > 1e3 * max(_size(step.into), 1e-30)
            if grows and base in ("Div", "Rsqrt", "Reciprocal", "NativeBatchNorm", "NativeLayerNorm", "NativeGroupNorm"):
                return op
        return None

    def _sum(self, way: Way) -> Op | None:
        for step, op in zip(way.steps[: way.first + 1], way.ops[: way.first + 1], strict=True):
            if op is not None and op.name in _SUMS and _size(step.out) >= 0.5 * _size(step.into):
                return op
        return None

    # --- along the way ---------------------------------------------------------------------------------------

    def _recurrence(self, way: Way) -> Op | None:
        """One parameter applied again and again, or one recurrent operation."""
        inner = way.ops[way.first :]
        for op in inner:
            if op is not None and op.name in _RECURRENT and sum(o is op for o in inner) > REPEATS:
                return op
        uses = Counter(u for index, op in enumerate(inner) if op is not None and op is not _before(inner, index) for u in self._params(op))
        for uid, count in uses.most_common(1):
            if count >= REPEATS:
                return _usual([op for op in inner if op is not None and uid in self._params(op)])
        lines = Counter(op.stack.frames[:1] for i, op in enumerate(inner) if op is not None and op is not _before(inner, i) and not self._params(op))
        for line, count in lines.most_common(1):
            if count >= 4 * REPEATS and line:
                return next(op for op in inner if op is not None and op.stack.frames[:1] == line)
        return None

    def _along(self, way: Way) -> list[int]:
        return list(dict.fromkeys(u for op in way.ops if op is not None for u in self._params(op)))

    def _gain(self, uid: int) -> float | None:
        tensor = self.registry.tensor(uid)
        if tensor is None or tensor.ndim < 2 or not tensor.is_floating_point():
            return None
        rms = float(tensor.detach().float().pow(2).mean().sqrt())
        fan = math.sqrt(tensor.numel()) if tensor.ndim == 2 else tensor.numel() / tensor.shape[0]
        return rms * math.sqrt(fan)

    def _init_line(self, uid: int) -> Stack:
        entry = self.registry.entries[uid]
        return entry.init_at if entry.init_at.frames else entry.registered

    def _found(self, kind: str, cause: str, uid: int, op: Op | None, stack: Stack = EMPTY) -> Found:
        chosen = stack if stack.frames else op.stack if op is not None else EMPTY
        return Found(kind, cause, uid, op.index if op is not None else -1, op.name if op is not None else "", chosen)


_DIVISIONS = {"div", "__truediv__", "true_divide", "div_", "normalize"}


def _before(ops: list[Op | None], index: int) -> Op | None:
    return ops[index - 1] if index else None


def _size(values: list[float | None]) -> float:
    return max((v for v in values if v is not None and v == v), default=0.0)


def _drop(step: Step) -> float:
    """By how many powers of e a node shrank the gradient."""
    into, out = _size(step.into), _size(step.out)
    return math.log(into / out) if into > 0 and out > 0 and math.isfinite(into / out) else 0.0


def _usual(ops: list[Op | None]) -> Op | None:
    """Of several operations one on the line that occurs most."""
    lines = Counter(op.stack.frames[:1] for op in ops if op is not None and op.stack.frames)
    if not lines:
        return None
    line = lines.most_common(1)[0][0]
    return next(op for op in ops if op is not None and op.stack.frames[:1] == line)

