"""Numbers: values that left torch as Python floats, recognised when they come back in a tensor.

Lists, dicts, records and files hand on a float as it is. One that came out of `.tolist()` or `.item()` and is found in
a new tensor, digit by digit, is the same one; round numbers, which may come from anywhere, are not looked at: 0.5 and
100, the 0.1 of a configuration, and everything that was computed in half precision, of which there are too few.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import torch

from gradscope.capture.tensors import has_no_memory

BINARY, DECIMAL = 11, 4
"""So few significant digits make a number round: float16 has 11 binary ones."""
MOST = 50_000
"""Numbers kept."""
SAMPLE = 32
"""Numbers kept of one list."""
LOOKED_AT = 4
"""Elements of a new tensor that are compared; all of them that are not round have to be known."""
READ = 64
"""Elements of a tensor so recognised that are looked up: each may have come out of another value."""


class Numbers:
    """Which value of the tape a float was."""

    def __init__(self) -> None:
        self._values: dict[float, int] = {}

    def left(self, result: Any, value: int) -> None:
        """A number or nested list came out of a value."""
        if len(self._values) > MOST:
            self._values.clear()
        for _, number in zip(range(SAMPLE), _floats(result), strict=False):
            if not is_round(number):
                self._values[_single(number)] = value

    def sources(self, tensor: torch.Tensor) -> tuple[int, ...]:
        """The values that the numbers in a new tensor came out of."""
        if not self._values or not tensor.is_floating_point() or tensor.is_meta or tensor.layout is not torch.strided:
            return ()
        if type(tensor) is not torch.Tensor or tensor.requires_grad or has_no_memory(tensor):
            return ()
        flat = tensor.detach().reshape(-1)
        found = self._known(flat[:LOOKED_AT].tolist())
        if not found or min(found) < 0:
            return ()
        return tuple(dict.fromkeys(value for value in self._known(flat[:READ].tolist()) if value >= 0))

    def _known(self, numbers: list[float]) -> list[int]:
        return [self._values.get(_single(number), -1) for number in numbers if not is_round(number)]


def _floats(result: Any) -> Iterator[float]:
    if isinstance(result, float):
        yield result
    elif isinstance(result, list):
        for item in result:
            yield from _floats(item)


def is_round(number: float) -> bool:
    """Few digits, whole or not finite."""
    if not math.isfinite(number) or abs(number) > 1e30 or number.is_integer():
        return True
    digits = math.frexp(number)[0] * 2**BINARY
    return digits.is_integer() or _single(number) == _single(float(f"{number:.{DECIMAL}g}"))


def _single(number: float) -> float:
    """As float32 holds it."""
    return float(struct.unpack("f", struct.pack("f", number))[0])
