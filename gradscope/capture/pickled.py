"""Pickled modules: what is read of a module that was written as a whole is another one, with parameters of its own.

Tensors are read in the order in which they were written. So those of which many are equal (biases of zeros, scales of
ones) are known by their place among those whose values are like no other's.
"""

from __future__ import annotations

import torch

from gradscope.capture.source import Stack

MOST = 100
"""Written modules that are remembered."""
LONGEST = 10_000
"""Tensors of one of them."""
Print = tuple[tuple[int, ...], torch.dtype, bytes]


class Pickled:
    """The tensors of each written module, in order."""

    def __init__(self) -> None:
        self._modules: list[list[tuple[Print, int]]] = []
        self._by: Stack | None = None
        """Where the last of them is being written."""
        self._seen: set[int] = set()
        self._reading: list[tuple[Print, int]] = []
        self._at = 0
        """Which tensor of the module that is being read is likely to come next."""

    def is_written_by(self, stack: Stack) -> bool:
        """Whether a module is being written there."""
        return self._by is not None and self._by.frames == stack.frames and len(self._modules[-1]) < LONGEST

    def wrote(self, made: Print, uid: int, stack: Stack) -> None:
        """A parameter of a module is being written, or with -1 another tensor of it."""
        if not self.is_written_by(stack) or uid in self._seen:
            self._modules.append([])
            del self._modules[:-MOST]
            self._seen.clear()
        self._by = stack
        self._seen.update([uid] if uid >= 0 else [])
        self._modules[-1].append((made, uid))

    def read(self, made: Print) -> int:
        """The parameter that was written of which this is read; -1 if it was none."""
        self._by = None
        if not any(known == made for known, _ in self._reading[self._at : self._at + 1]):
            for module in reversed(self._modules):
                at = next((at for at, (known, _) in enumerate(module) if known == made), -1)
                if at >= 0:
                    self._reading, self._at = module, at
                    break
            else:
                return -1
        self._at += 1
        return self._reading[self._at - 1][1]
