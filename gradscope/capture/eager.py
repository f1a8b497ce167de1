"""Compiled code runs eagerly while it is traced: a compiled region shows none of its operations."""

from __future__ import annotations

import contextlib
import warnings

import torch

_OURS = r"Using `torch\.compile\(module\)` when there are global hooks on modules"
"""torch warns of the hooks that tracing puts on all modules; they see a compiled module twice, which is harmless."""


class Eager:
    """From here until undo(): torch.compile does nothing, and torch does not warn of our hooks."""

    def __init__(self) -> None:
        self._stance = torch.compiler.set_stance("force_eager")
        warnings.filterwarnings("ignore", message=_OURS, category=UserWarning)
        self._filter = warnings.filters[0]

    def undo(self) -> None:
        self._stance.__exit__(None, None, None)
        with contextlib.suppress(ValueError):  # the user may have replaced the filters
            warnings.filters.remove(self._filter)  # type: ignore[attr-defined]
