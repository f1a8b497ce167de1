"""Who made a zero: of a factor that is zero, the operation or the parameter that first was."""

from __future__ import annotations

from gradscope.capture.margins import Margins
from gradscope.capture.operations import SELECTION
from gradscope.capture.parameters import Registry
from gradscope.capture.source import Stack
from gradscope.capture.tape import Op, Tape, Value
from gradscope.records.traced import DERIVATIVE, DIFFERENCE, WHOLE

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
_DIVIDES = {"floor_divide", "floor_divide_", "__floordiv__", "__ifloordiv__"}
_MASKS = {"masked_fill", "masked_fill_", "where", "masked_scatter", "triu", "tril", "dropout"}
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
        answer = self._zeroed(op, maker) if maker.size == 0.0 else ""
        if answer:
            return answer, op.index
        if op.name in _MASKS and not (maker.size == 0.0 and self._given_zeros(op)):
            return "masked", op.index
        if op.name in _DIVIDES and self._from_whole(op):
            return "zero_multiplier", op.index
        if (op.name in _CASTS or not maker.floating) and any(not self.tape.values[v].floating for v, _ in op.inputs):
            return self._cast(op)
        for parent in sorted(self._askable(value, op), key=self._blamelessness):
            cause, source = self.of(parent, depth + 1)
            if cause and (cause != "zero_init" or maker.size == 0.0):  # a zero bias makes nothing zero
                return cause, source
        if op.name == DERIVATIVE and maker.size == 0.0:  # of what is linear in pieces, such as a ReLU
            return "zero_derivative", op.index
        return "", -1

    def _zeroed(self, op: Op, made: Value) -> str:
        """Why an operation made nothing but zeros, if it did so of what was none."""
        if (op.name in _CUT_OFF and not self._given_zeros(op)) or self.margins.floor(op.index):
            return "dead_relu"
        if op.name in _SATURATED:
            return "saturated_activation"
        if op.index in self.tape.constant:
            return "constant_output"
        equal = op.name in _DIFFERENCES and not made.requires
        return "zero_multiplier" if equal and all(self.tape.values[v].size for v, _ in op.inputs) else ""

    def _askable(self, value: int, op: Op) -> list[int]:
        """The inputs that may be why a result is what it is: of zeros those that are zero, or choose, or all."""
        values, inputs = self.tape.values, [v for v, _ in op.inputs]
        if values[value].size != 0.0 or not values[value].floating:
            return inputs
        chooses = op.name in _FACTORS or op.name in _CASTS or op.name in _MASKS
        floats = [v for v in inputs if values[v].floating]
        zeros = [v for v in floats if values[v].param >= 0 or values[v].size == 0.0]
        whole = [v for v in inputs if not values[v].floating] if chooses else []
        return [*zeros, *whole] or ([] if op.name in _FACTORS else floats)  # 1 - exp(0) is zero, and is given none

    def _given_zeros(self, op: Op) -> bool:
        """Whether all floating inputs of an operation are zero already."""
        floats = [made for v, _ in op.inputs if (made := self.tape.values[v]).floating]
        return bool(floats) and all(made.size == 0.0 for made in floats)

    def _from_whole(self, op: Op) -> bool:
        """Whether it divides or rounds whole numbers: these are no mask."""
        return bool(op.inputs) and not any(self.tape.values[v].floating for v, _ in op.inputs)

    def _cast(self, op: Op) -> tuple[str, int]:
        """Whole numbers become a factor: a mask, if they were not rounded to be that."""
        value = next((v for v, _ in op.inputs if not self.tape.values[v].floating), -1)
        for _ in range(_DEPTH):
            made = self.tape.ops[self.tape.values[value].op] if value >= 0 and self.tape.values[value].op >= 0 else None
            if made is None or not self._from_whole(made):
                break
            if made.name in _DIVIDES:
                return "zero_multiplier", made.index
            value = made.inputs[0][0]
        return "masked", op.index

    def given(self, value: int, answer: str, source: int) -> int:
        """The operation that made zeros of what a weight is multiplied with; -1 if that is not so, or not known.

        `answer` and `source` are of `of`: what is known otherwise comes first, but for a cast from integers that is
        no mask.
        """
        made = self.tape.values[value]
        if made.param >= 0 or made.size != 0.0 or not made.floating or not made.numel:
            return -1
        name = self.tape.ops[source].name if source >= 0 else ""
        cast = (answer == "masked" and name in _CASTS) or name in _DIVIDES
        return self._born(value) if not answer or cast else -1

    def how(self, op: int) -> str:
        """What is said of an operation that made a factor zero."""
        return WHOLE if self.tape.ops[op].name in _DIVIDES else DIFFERENCE

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

    def dead_relu(self, op: int) -> tuple[str, int]:
        """A ReLU whose inputs are all exactly zero is dead because of a factor before it: which, if it is known."""
        inputs = self.tape.ops[op].inputs if op >= 0 else ()
        if not inputs or self.tape.values[inputs[0][0]].size != 0.0:
            return "dead_relu", -1
        if self.of(inputs[0][0])[0] == "zero_init":
            return "zero_init", -1
        born = self._born(inputs[0][0])
        by_factor = born >= 0 and self.tape.ops[born].name in _FACTORS
        return ("zero_multiplier", born) if by_factor else ("dead_relu", -1)
