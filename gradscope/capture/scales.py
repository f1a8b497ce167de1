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
from gradscope.capture.steepest import layers
from gradscope.capture.sums import Sums
from gradscope.capture.tape import Op, Tape
from gradscope.capture.ways import Sources, Way, Ways, largest, last_line, usual
from gradscope.capture.zero_causes import base_name

TINY = 1e-7
"""rms of a gradient below which a float32 weight of ordinary size (0.01 to 1) no longer moves; see GS401."""
HUGE = 1e3
"""rms of a gradient above which something on the way amplified it; ordinary losses give 1e-4 to 10; see GS402."""
SMALL_GAIN, LARGE_GAIN = 0.35, 2.5
"""rms(W) * sqrt(fan in): 0.58 for torch's default, 1.4 for Kaiming (He et al. 2015, eq. 10). Beyond: small or large."""
NEXT_TO_NOTHING = 1e-3
"""... and so small that a single such layer ends the gradient."""
SQUASHED = 0.3
"""Share of squashing activations in the shrinking (in powers of e) that makes them the reason."""
CANCELS = math.log(1e4)
"""Shrinking, in powers of e, where gradients are only added up: what cancels by mathematics leaves rounding, 1e-7."""
REPEATS = 8
"""Uses of one parameter along one way that make it a recurrence."""
BIG_DATA = 1e3
REACHED = 1e-3
"""A loss that is bounded below by zero and this close to it has got what it wants: its gradient may be tiny."""
SMALL_FACTOR = 1e-3
"""A factor computed from parameters that is everywhere below this was initialised too small."""
_SQUASH = {"Sigmoid", "Tanh", "Softmax", "LogSigmoid", "Softplus", "Erf", "Hardsigmoid", "Hardtanh", "Atan"}
_SPREADS = {"Expand", "Repeat", "RepeatInterleave"}
"""Whose gradient is a sum over copies."""
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
_DIVIDES = {"Div", "Rsqrt", "Reciprocal", "NativeBatchNorm", "NativeLayerNorm", "NativeGroupNorm"}
_ADDS = {"add", "__add__", "__radd__", "__iadd__", "stack", "cat", "sum"}


@dataclass(frozen=True, slots=True)
class Inside:
    """What may amplify among the operations that a gradient's size depends on."""

    repeated: Op | None
    """Of one parameter or line that is applied again and again."""
    large: int
    """A parameter that was initialised large, where many are; -1 for none."""
    big: Op | None
    """What reads large data."""


class ScaleFinder:
    """Explains tiny and huge gradients of one recorded backward; what several parameters share is read once."""

    def __init__(self, tape: Tape, registry: Registry, graph: GraphWalk) -> None:
        self.tape = tape
        self.registry = registry
        self.graph = graph
        self.ways = Ways(tape, graph)
        self.sums = Sums(self.ways, graph)
        self._reached = False
        self._gains: dict[int, float | None] = {}
        self._families: dict[frozenset[str], frozenset[int]] = {}
        self._inside: dict[Sources, Inside] = {}

    def find(self, norms: dict[int, float | None], loss: float | None = None) -> list[Found]:
        """One origin for each parameter whose gradient is tiny or huge."""
        found = []
        for leaf, variable in self.graph.leaves.items():
            uid = self.registry.uid(variable)
            norm = norms.get(uid)
            if uid < 0 or norm is None or not math.isfinite(norm) or norm == 0.0 or variable.numel() == 0:
                continue
            rms = norm / math.sqrt(variable.numel())
            if TINY <= rms <= HUGE:
                continue
            self._reached = loss is not None and loss < REACHED and math.copysign(1.0, loss) > 0
            way = self.ways.way(leaf)
            if way is not None:
                found.append(self._vanishing(way, uid) if rms < TINY else self._exploding(way, uid, rms))
                found[-1].layers = layers(way, self.ways, self.registry)
        return found

    # --- tiny ------------------------------------------------------------------------------------------------

    def _vanishing(self, way: Way, uid: int) -> Found:
        entering = largest(way.steps[way.first].into)
        if entering < 10 * TINY:
            return self._tiny_loss(way, uid)
        repeated = self._recurrence(way)
        if repeated is not None:
            return self._found("vanishing", "long_recurrence", uid, repeated)
        inner = list(zip(way.steps[way.first :], way.ops[way.first :], strict=True))
        drops = way.drops[way.first :]
        cancelled = [o for d, (s, o) in zip(drops, inner, strict=True) if d > CANCELS and base_name(s.name) in _SPREADS]
        if cancelled:
            return self._found("vanishing", "cancelling_gradient", uid, cancelled[0])
        squashed = sum(d for d, (step, _) in zip(drops, inner, strict=True) if base_name(step.name) in _SQUASH)
        total = sum(drops)
        gains = [g for u in self.ways.used(way.ops) if (g := self._gain(u)) is not None]
        small = sum(g < SMALL_GAIN for g in gains)
        if squashed > SQUASHED * total > 0:
            op = usual([op for step, op in inner if base_name(step.name) in _SQUASH])
            return self._found("vanishing", "saturating_depth", uid, op)
        if gains and small >= 0.5 * len(gains):
            return self._found("vanishing", "small_init", uid, usual([op for _, op in inner]), self._init_line(uid))
        single = self._single(inner, drops)
        if single is not None:
            return self._found("vanishing", "small_init", uid, single[1], self._init_line(single[0]))
        return self._found("vanishing", "missing_residual", uid, last_line(self.ways, [op for _, op in inner]))

    def _single(self, inner: list[tuple[Step, Op | None]], drops: list[float]) -> tuple[int, Op] | None:
        """The one layer of next to no weight that does most of the shrinking: more than a third, and than any other."""
        drop, op = max(zip(drops, [op for _, op in inner], strict=True), key=lambda pair: pair[0])
        for uid in self.ways.params(op) if op is not None and drop > sum(drops) / 3 else ():
            gain = self._gain(uid)
            if op is not None and gain is not None and gain < NEXT_TO_NOTHING:
                return uid, op
        return None

    def _tiny_loss(self, way: Way, uid: int) -> Found:
        """The gradient is tiny before it reaches the first weights."""
        outer = list(zip(way.steps[: way.first], way.ops[: way.first], strict=True)) or [(way.steps[0], way.ops[0])]
        drops = way.drops[: len(outer)]
        worst = outer[drops.index(max(drops))]
        first = way.ops[way.first]
        others = set(self.ways.params(first)) if first is not None else set()
        foreign = bool(others) and not others & self._family(uid)
        name = base_name(worst[0].name)
        squashing = name in _SQUASH | {"Log"} or name.startswith("BinaryCrossEntropy")
        if squashing and self._reached:
            return self._found("satisfied", "unknown", uid, worst[1])
        if foreign and squashing:
            loss = next((op for _, op in outer if op is not None), worst[1])
            return self._found("vanishing", "saturating_gan_loss", uid, usual([worst[1]]) or loss)
        if worst[1] is not None and self._small_factor(worst[1]):
            return self._found("vanishing", "small_init", uid, worst[1], self._init_line(uid))
        shrinks = (op for (_, op), drop in zip(outer, drops, strict=True) if op is not None and drop > 0)
        loss = next((op for op in shrinks if op.name not in _ADDS), worst[1])
        frames = loss.stack.frames if loss is not None else ()
        marks = first.stack.marks if first is not None else ()  # whose architecture it is that gets so little
        return self._found("vanishing", "tiny_loss_scale", uid, loss, Stack(frames, marks))

    def _small_factor(self, op: Op) -> bool:
        """A product with something small that was computed from parameters."""
        values = [self.tape.values[v] for v, requires in op.inputs if requires]
        return len(values) > 1 and any(0 < v.size < SMALL_FACTOR for v in values)

    def _family(self, uid: int) -> frozenset[int]:
        """All parameters of the models that a parameter belongs to."""
        owners = frozenset(owner.model for owner in self.registry.entries[uid].owners)
        if owners not in self._families:
            members = (model.uids for model in self.registry.models if model.name in owners)
            self._families[owners] = frozenset().union(*members)
        return self._families[owners]

    # --- huge ------------------------------------------------------------------------------------------------

    def _exploding(self, way: Way, uid: int, rms: float) -> Found:
        summed = self.sums.blamed(way, rms)
        if summed is not None:
            return self._found("exploding", "sum_reduction", uid, summed)
        sources = self.ways.sources(way)
        inside = self._inside.get(sources) or self._inside.setdefault(sources, self._look_inside(sources.ops))
        if inside.repeated is not None:
            return self._found("exploding", "long_recurrence", uid, inside.repeated)
        divided = self._tiny_division(way)
        if divided is not None:
            return self._found("exploding", "near_zero_normalisation", uid, divided)
        if inside.large >= 0:
            return self._found("exploding", "large_init", uid, usual(way.ops), self._init_line(inside.large))
        big = inside.big
        if big is not None:
            cause = "near_zero_normalisation" if big.name in _DIVISIONS else "unnormalised_data"
            return self._found("exploding", cause, uid, big)
        last = usual(way.ops)
        marks = last.stack.marks if last is not None else ()
        return Found("exploding", "unknown", uid, -1, "", Stack((), marks))

    def _look_inside(self, ops: list[Op]) -> Inside:
        gains = {u: g for u in self.ways.used(ops) if (g := self._gain(u)) is not None}
        large = [u for u, g in gains.items() if g > LARGE_GAIN]
        many = len(large) >= max(1, 0.3 * len(gains))
        return Inside(self._repeated(ops), large[0] if many else -1, self._big_data(ops))

    def _repeated(self, ops: list[Op]) -> Op | None:
        """One parameter applied again and again."""
        uses = Counter(u for op in ops for u in set(self.ways.params(op)))
        for uid, count in uses.most_common(1):
            if count >= REPEATS:
                return usual([op for op in ops if uid in self.ways.params(op)])
        recurrent = [op for op in ops if op.name in _RECURRENT]
        if recurrent:
            return recurrent[0]
        lines = Counter((op.stack.frames[0], op.name) for op in ops if op.stack.frames)
        if len(uses) >= 2 * REPEATS:  # so many layers, one after another
            return None
        again = [op for op in ops if op.stack.frames and lines[op.stack.frames[0], op.name] >= 3 * REPEATS]
        return last_line(self.ways, again, any_operation=True)

    def _big_data(self, ops: list[Op]) -> Op | None:
        """An operation that reads large data: a batch, a target, or something computed from them alone."""
        for op in ops:
            if not any(requires for _, requires in op.inputs):
                continue
            for value, requires in op.inputs:
                data = self.tape.values[value]
                if requires or data.param >= 0 or not data.floating or not BIG_DATA < data.size < math.inf:
                    continue
                maker = self.tape.ops[data.op] if data.op >= 0 else None
                return maker if maker is not None and maker.name in _DIVISIONS else op
        return None

    def _tiny_division(self, way: Way) -> Op | None:
        for step, op in zip(way.steps, way.ops, strict=True):
            if base_name(step.name) in _DIVIDES and largest(step.out) > 1e3 * max(largest(step.into), 1e-30):
                return op
        return None

    # --- along the way ---------------------------------------------------------------------------------------

    def _recurrence(self, way: Way) -> Op | None:
        """One parameter applied again and again, or one recurrent operation."""
        inner = way.ops[way.first :]
        for op in inner:
            if op is not None and op.name in _RECURRENT and sum(o is op for o in inner) > REPEATS:
                return op
        uses = Counter(
            u
            for index, op in enumerate(inner)
            if op is not None and op is not _before(inner, index)
            for u in self.ways.params(op)
        )
        for uid, count in uses.most_common(1):
            if count >= REPEATS:
                return usual([op for op in inner if op is not None and uid in self.ways.params(op)])
        if len(uses) >= 2 * REPEATS:  # so many layers, one after another
            return None
        lines = Counter(
            op.stack.frames[:1]
            for i, op in enumerate(inner)
            if op is not None and op is not _before(inner, i) and not self.ways.params(op)
        )
        for line, count in lines.most_common(1):
            if count >= 4 * REPEATS and line:
                return next(op for op in inner if op is not None and op.stack.frames[:1] == line)
        return None

    def _gain(self, uid: int) -> float | None:
        if uid not in self._gains:
            self._gains[uid] = self._measured_gain(uid)
        return self._gains[uid]

    def _measured_gain(self, uid: int) -> float | None:
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
