"""Saved: tensors that were written down (torch.save, pickle) and read again, which ends their history.

One that is read is the one that was written if shape, dtype and every bit agree; what has only round numbers or one and
the same, and parameters, which a checkpoint brings back, are not looked at. Of a module that was written as a whole
they are: it brings none back, but is another one.
"""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any

import torch

from gradscope.capture.numbers import READ, is_round
from gradscope.capture.pickled import Pickled, Print
from gradscope.capture.source import Stack
from gradscope.capture.tape import Op, Tape, Value
from gradscope.capture.tensors import has_no_memory, pointer
from gradscope.records import LOAD, SAVE

WRITER, READER = "_reduce_ex_internal", "_rebuild_tensor_v2"
"""Functions of torch that take a tensor apart and put it together."""
LARGEST = 1 << 24
"""Elements of a tensor that is looked at."""
MOST = 10_000
"""Tensors remembered."""


class Saved:
    """Which value of the tape was written down."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._values: dict[Print, int] = {}
        self._forms: set[tuple[tuple[int, ...], torch.dtype]] = set()
        self._pickled = Pickled()

    def wrote(self, tensor: torch.Tensor, stack: Stack) -> None:
        """A tensor is being written down."""
        value = self.tape.find(tensor)
        uid = self._of_a_module(value)
        if (uid >= 0 or self._pickled.is_written_by(stack)) and _is_legible(tensor):
            self._pickled.wrote(_print_of(tensor), uid, stack)
            self._forms.add((tuple(tensor.shape), tensor.dtype))
        if value < 0 or self._is_parameter(value) or not _is_telling(tensor):
            return
        if len(self._values) > MOST:
            self._values.clear()
            self._forms.clear()
        op = Op(len(self.tape.ops), SAVE, stack, ((value, tensor.requires_grad),), cause="copied")
        self.tape.ops.append(op)
        seen = self.tape.values[value]
        made = self.tape.add(
            Value(op.index, ((value, False),), False, -1, seen.floating, seen.ndim, seen.numel, seen.size)
        )
        op.outputs = (made,)
        self._values[_print_of(tensor)] = made
        self._forms.add((tuple(tensor.shape), tensor.dtype))

    def read(self, tensor: torch.Tensor, stack: Stack) -> None:
        """A tensor was put together."""
        if (tuple(tensor.shape), tensor.dtype) not in self._forms or not _is_legible(tensor):
            return
        made = _print_of(tensor)
        uid = self._pickled.read(made)
        source = self._values.get(made, -1) if _is_telling(tensor) else -1
        if source < 0 and uid >= 0:
            source = self.tape.params[uid][-1]
        if source < 0:
            return
        op = Op(len(self.tape.ops), LOAD, stack, ((source, False),), cause="copied")
        self.tape.ops.append(op)
        seen = self.tape.values[source]
        value = self.tape.add(
            Value(
                op.index, ((source, False),), tensor.requires_grad, -1, seen.floating, seen.ndim, seen.numel, seen.size
            )
        )
        op.outputs = (value,)
        self.tape.bind(tensor, value)
        if seen.param >= 0:
            self.tape.remember_memory(tensor, pointer(tensor), value)

    def _of_a_module(self, value: int) -> int:
        """The uid of the parameter of which it is what is written down where it is itself; -1 if it is of none."""
        made = self.tape.values[value] if value >= 0 else None
        if made is None or made.op < 0 or not self.tape.ops[made.op].stack.inside("pickle") or not made.parents:
            return -1
        return self.tape.values[made.parents[0][0]].param

    def _is_parameter(self, value: int) -> bool:
        """Whether it is a parameter, taken as it is."""
        made = self.tape.values[value]
        if made.op >= 0 and self.tape.ops[made.op].stack.has("state_dict"):
            return True
        moved = made.op >= 0 and self.tape.ops[made.op].name in ("detach", "data", "cpu", "to", "clone", "float")
        return made.param >= 0 or (moved and any(map(self._is_parameter, (v for v, _ in made.parents))))


def _is_legible(tensor: Any) -> bool:
    """Whether its bits can be looked at."""
    if type(tensor) is not torch.Tensor or not tensor.is_floating_point() or tensor.layout is not torch.strided:
        return False
    return not tensor.is_meta and not has_no_memory(tensor) and 0 < tensor.numel() <= LARGEST


def _is_telling(tensor: Any) -> bool:
    """Whether it is no accident if another has the same values."""
    if not _is_legible(tensor):
        return False
    first = tensor.detach().reshape(-1)[:READ].tolist()
    return len(set(first)) > 1 and not all(map(is_round, first))


def _print_of(tensor: torch.Tensor) -> Print:
    flat = tensor.detach().cpu().contiguous()
    data = ctypes.string_at(flat.data_ptr(), flat.numel() * flat.element_size())
    return tuple(tensor.shape), tensor.dtype, hashlib.blake2b(data, digest_size=16).digest()
