"""Saved: tensors that were written down (torch.save, pickle) and read again, which ends their history.

One that is read is the one that was written if shape, dtype and every bit agree; what has only round numbers or one and
the same, and parameters, which a checkpoint brings back, are not looked at.
"""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any

import torch

from gradscope.capture.numbers import READ, is_round
from gradscope.capture.source import Stack
from gradscope.capture.tape import Op, Tape, Value
from gradscope.capture.tensors import has_no_memory
from gradscope.records import LOAD, SAVE

WRITER, READER = "_reduce_ex_internal", "_rebuild_tensor_v2"
"""Functions of torch that take a tensor apart and put it together."""
LARGEST = 1 << 24
"""Elements of a tensor that is looked at."""
MOST = 10_000
"""Tensors remembered."""
Print = tuple[tuple[int, ...], torch.dtype, bytes]


class Saved:
    """Which value of the tape was written down."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._values: dict[Print, int] = {}
        self._forms: set[tuple[tuple[int, ...], torch.dtype]] = set()

    def wrote(self, tensor: torch.Tensor, stack: Stack) -> None:
        """A tensor is being written down."""
        value = self.tape.find(tensor)
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
        if (tuple(tensor.shape), tensor.dtype) not in self._forms or not _is_telling(tensor):
            return
        source = self._values.get(_print_of(tensor), -1)
        if source < 0:
            return
        op = Op(len(self.tape.ops), LOAD, stack, ((source, False),), cause="copied")
        self.tape.ops.append(op)
        seen = self.tape.values[source]
        made = Value(
            op.index, ((source, False),), tensor.requires_grad, -1, seen.floating, seen.ndim, seen.numel, seen.size
        )
        op.outputs = (self.tape.add(made),)
        self.tape.bind(tensor, op.outputs[0])

    def _is_parameter(self, value: int) -> bool:
        """Whether it is a parameter, taken as it is."""
        made = self.tape.values[value]
        if made.op >= 0 and self.tape.ops[made.op].stack.has("state_dict"):
            return True
        moved = made.op >= 0 and self.tape.ops[made.op].name in ("detach", "data", "cpu", "to", "clone", "float")
        return made.param >= 0 or (moved and any(map(self._is_parameter, (v for v, _ in made.parents))))


def _is_telling(tensor: Any) -> bool:
    """Whether it is no accident if another has the same values."""
    if type(tensor) is not torch.Tensor or not tensor.is_floating_point() or tensor.layout is not torch.strided:
        return False
    if tensor.is_meta or has_no_memory(tensor) or not 2 <= tensor.numel() <= LARGEST:
        return False
    first = tensor.detach().reshape(-1)[:READ].tolist()
    return len(set(first)) > 1 and not all(map(is_round, first))


def _print_of(tensor: torch.Tensor) -> Print:
    flat = tensor.detach().cpu().contiguous()
    data = ctypes.string_at(flat.data_ptr(), flat.numel() * flat.element_size())
    return tuple(tensor.shape), tensor.dtype, hashlib.blake2b(data, digest_size=16).digest()
