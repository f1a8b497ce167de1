"""Wrapping: the line on which a tensor is made a parameter, which no operation of torch tells.

`nn.Parameter(x)` is a new leaf over the memory of `x`. Where that cuts a gradient, this line is to
blame and not the one that uses the parameter first.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import torch
from torch import nn

from gradscope.capture.source import EMPTY, Stack, snapshot

KEPT = 10_000


class Wrapping:
    """Notes where parameters are made, from here until undo()."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[weakref.ref[torch.Tensor], Stack]] = {}
        self._plain = nn.Parameter.__dict__["__new__"]
        plain, note = nn.Parameter.__new__, self._note

        def watched(cls: Any, *args: Any, **kwargs: Any) -> Any:
            parameter = plain(cls, *args, **kwargs)
            note(parameter)
            return parameter

        self._watched = staticmethod(watched)
        nn.Parameter.__new__ = self._watched  # type: ignore[method-assign]

    def undo(self) -> None:
        """Somebody who replaced it after us keeps what they have."""
        if nn.Parameter.__dict__["__new__"] is self._watched:
            nn.Parameter.__new__ = self._plain  # type: ignore[method-assign]
        self._made.clear()

    def _note(self, parameter: Any) -> None:
        if len(self._made) >= KEPT:
            self._made.clear()
        try:
            self._made[id(parameter)] = weakref.ref(parameter), snapshot(sys._getframe(2))
        except Exception:  # noqa: BLE001 - the user's parameter is made all the same
            self._made.clear()

    def line_of(self, parameter: torch.Tensor) -> Stack:
        """Where it was made; empty if that was not seen."""
        made = self._made.get(id(parameter))
        return made[1] if made is not None and made[0]() is parameter else EMPTY
