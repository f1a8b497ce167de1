"""Who made a zero: of a factor that is zero, the operation or the parameter that first was."""

from __future__ import annotations

from gradscope.capture.margins import Margins
from gradscope.capture.operations import SELECTION
from gradscope.capture.parameters import Registry
from gradscope.capture.source import Stack
from gradscope.capture.tape import Op, Tape
from gradscope.records import DERIVATIVE

_CUT_OFF = {
    "relu", "relu_", "threshold", "prelu", "relu6", "rrelu", "clamp", "clip", "clamp_min", "clamp_max", "hardtanh",
    "clamp_",
}  # fmt: skip
_SATURATED = {"sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_"}
"""Whose result is exactly zero only far out."""
_DEPTH, _FAR = 12, 64
_CASTS = ("float", "to", "type_as", "double", "half")
_WHOLE = {
    "floor_divide", "floor_divide_", "__floordiv__", "__ifloordiv__", "floor", "floor_", "trunc", "trunc_", "round",
    "round_", "long", "int", "short", "fix", "sign",
}  # fmt: skip
"""Operations that leave whole numbers only."""
_DIFFERENCES = {"sub", "sub_", "__sub__", "__rsub__", "__isub__", "rsub", "subtract"}
_FACTORS = {"mul", "mul_", "__mul__", "__rmul__", "__imul__"}


class Makers:
    """Answers for one tape."""

    def __init__(self, tape: Tape, registry: Registry, margins: Margins) -> None:
        self.tape = tape
        self.registry = registry
        self.margins = margins

    def of(self, value: int, depth: int = 0) -> tuple[str, int]:
        """The cause, and the operation where it lies; "" and -1 where they are not known."""
        maker = self.tape.values[value]
        if maker.param >= 0:
            tensor = self.registry.tensor(maker.param)
            return ("zero_init", -1) if tensor is not None and not bool(tensor.detach().any()) else ("", -1)
        if maker.op < 0 or depth > _DEPTH:
            return "", -1
        op = self.tape.ops[maker.op]
        if maker.size == 0.0 and (op.name in _CUT_OFF or self.margins.floor(op.index)):
            return "dead_relu", op.index
        if maker.size == 0.0 and op.name in _SATURATED:
            return "saturated_activation", op.index
        if op.index in self.tape.constant and maker.size == 0.0:
            return "constant_output", op.index
        equal = op.name in _DIFFERENCES and maker.size == 0.0 and not maker.requires
        if equal and all(self.tape.values[v].size for v, _ in op.inputs):
            return "zero_multiplier", op.index
        if op.name in ("masked_fill", "where", "masked_scatter", "triu", "tril", "dropout", "masked_fill_"):
            return "masked", op.index
        cast = not self.tape.values[value].floating or op.name in _CASTS
        if cast and any(not self.tape.values[v].floating for v, _ in op.inputs):
            return "masked", op.index
        for parent in sorted(self._asked(op, maker.size), key=self._blamelessness):
            cause, source = self.of(parent, depth + 1)
            if cause and (cause != "zero_init" or maker.size == 0.0):  # a zero bias makes nothing zero
                return cause, source
        if op.name == DERIVATIVE and maker.size == 0.0:  # of what is linear in pieces, such as a ReLU
            return "zero_derivative", op.index
        return "", -1

    def _asked(self, op: Op, size: float | None) -> list[int]:
        """Who may have made the result of an operation zero; of a product not a factor that is none (a dropout's)."""
        parents = [v for v, _ in op.inputs]
        if size != 0.0 or op.name not in _FACTORS:
            return parents
        zero = [v for v in parents if self.tape.values[v].size == 0.0]
        return zero or (parents if len(parents) > 1 else [])

    def given(self, value: int, answer: str, source: int) -> int:
        """The operation that made zeros of what a weight is multiplied with; -1 if that is not so, or not known.

        `answer` and `source` are of `of`: what is known otherwise comes first, but for a cast from integers that is
        no mask.
        """
        made = self.tape.values[value]
        if made.param >= 0 or made.size != 0.0 or not made.floating or not made.numel:
            return -1
        cast = answer == "masked" and source >= 0 and self.tape.ops[source].name in _CASTS
        return self._born(value) if not answer or cast else -1

    def zeroed_by(self, op: int) -> str:
        """Why an operation made zeros of what was none."""
        name = self.tape.ops[op].name
        return "zero_derivative" if name in _WHOLE else "masked" if name in SELECTION else "zero_multiplier"

    def _born(self, value: int) -> int:
        """Back along what is zero to the operation that made it so."""
        values = self.tape.values
        for _ in range(_FAR):
            index = values[value].op
            if index < 0:
                return -1
            op = self.tape.ops[index]
            parents = [v for v, _ in op.inputs if values[v].param < 0]
            whole = op.name in _CASTS or not values[value].floating  # else integers only say where to look
            zero = [v for v in parents if (values[v].size == 0.0 if values[v].floating else whole)]
            if op.name in _WHOLE or op.name in _FACTORS or not zero:
                return index
            value = zero[0]
        return -1

    def apart(self, number: int) -> Stack:
        """Where an operation ran; not in the line of a helper that elsewhere made something else than zeros."""
        op, values = self.tape.ops[number], self.tape.values
        frames, shared = op.stack.frames, 0
        for other in self.tape.ops:
            if (
                other.name == op.name
                and other.stack.frames[:1] == frames[:1]
                and any(values[v].size for v in other.outputs)
            ):
                same = [a == b for a, b in zip(frames, other.stack.frames, strict=False)]
                shared = max(shared, same.index(False) if False in same else 0)
        return Stack(frames[shared:]) if shared else op.stack

    def _blamelessness(self, value: int) -> tuple[bool, bool]:
        """Of several factors a parameter is asked first, then one that is zero."""
        made = self.tape.values[value]
        return made.param < 0, made.size != 0.0

    def dead_relu(self, op: int) -> str:
        """A ReLU whose inputs are all exactly zero is dead because a factor before it starts at zero."""
        inputs = self.tape.ops[op].inputs if op >= 0 else ()
        if inputs and self.tape.values[inputs[0][0]].size == 0.0 and self.of(inputs[0][0])[0] == "zero_init":
            return "zero_init"
        return "dead_relu"
