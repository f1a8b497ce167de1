"""Tensors that stand on a device of their own as far as Python can see, and note when their numbers are read.

A real device can only answer that by finishing all that it was asked before. torch's engine refuses to run on a
device that is written in Python, so in C++ they are tensors of the CPU whose numbers are elsewhere.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch.utils._pytree import tree_map

SYNCHRONISING = (
    "_local_scalar_dense", "nonzero", "equal", "is_nonzero", "_to_copy", "masked_select", "_unique2", "allclose",
    "repeat_interleave", "bincount",
)  # fmt: skip
COPIES = ("copy_", "_copy_from")


class Far(torch.Tensor):
    """A tensor on that device."""

    reads: list[str] = []  # noqa: RUF012 - one list for all
    """What made the device answer, and who asked: `operation, file:function`."""
    is_cpu = False

    @staticmethod
    def __new__(cls, data: torch.Tensor) -> Far:
        return torch.Tensor._make_wrapper_subclass(cls, data.shape, strides=data.stride(), dtype=data.dtype)

    def __init__(self, data: torch.Tensor) -> None:
        self.data_ = data

    def tolist(self) -> Any:
        Far.reads.append(f"tolist, {_asker()}")
        return self.data_.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        if name in SYNCHRONISING or (name in COPIES and not isinstance(args[0], Far)):
            Far.reads.append(f"{name}, {_asker()}")
        answer = func(*tree_map(_near, args), **tree_map(_near, kwargs or {}))
        if name.endswith("_"):
            return args[0]
        return tree_map(lambda x: Far(x) if isinstance(x, torch.Tensor) else x, answer)


def _near(value: Any) -> Any:
    return value.data_ if isinstance(value, Far) else value


def _asker() -> str:
    """Which part of gradscope asked, or the program."""
    frame = sys._getframe(2)
    while frame is not None:
        if "/gradscope/" in frame.f_code.co_filename:
            return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "the program"
