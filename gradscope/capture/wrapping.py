"""Wrapping: the line on which a tensor is made a parameter, which no operation of torch tells.

`nn.Parameter(x)` is a new leaf over the memory of `x`. Where that cuts a gradient, this line is to
blame and not the one that uses the parameter first.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gradscope.capture.source import EMPTY, Stack, snapshot

KEPT = 10_000


class _Patch:
    """`nn.Parameter.__new__`, replaced once for all that listen: whoever is the last to go puts the original back."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[Any], None], ...] = ()
        self._lock = threading.Lock()
        self._plain: Any = None
        self._watched: Any = None

    def listen(self, listener: Callable[[Any], None]) -> None:
        """Tell of every parameter that is made; called by the function that the maker called."""
        with self._lock:
            if not self._listeners:
                self._put_in_place()
            self._listeners = (*self._listeners, listener)

    def leave(self, listener: Callable[[Any], None]) -> None:
        """Tell no more. Somebody who replaced it after us keeps what they have."""
        with self._lock:
            before, self._listeners = self._listeners, tuple(each for each in self._listeners if each != listener)
            if before and not self._listeners and nn.Parameter.__dict__["__new__"] is self._watched:
                nn.Parameter.__new__ = self._plain  # type: ignore[method-assign]

    def _put_in_place(self) -> None:
        self._plain = nn.Parameter.__dict__["__new__"]
        plain = nn.Parameter.__new__

        def watched(cls: Any, *args: Any, **kwargs: Any) -> Any:
            parameter = plain(cls, *args, **kwargs)
            for listener in self._listeners:
                listener(parameter)
            return parameter

        self._watched = staticmethod(watched)
        nn.Parameter.__new__ = self._watched  # type: ignore[method-assign]


_patch = _Patch()


class Wrapping:
    """Notes where parameters are made, from here until undo()."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[weakref.ref[torch.Tensor], Stack]] = {}
        _patch.listen(self._note)

    def undo(self) -> None:
        """Note nothing more, and forget."""
        _patch.leave(self._note)
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
