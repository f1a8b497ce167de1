"""Fast paths: what torch computes in another way when a mode is on its stack computes as it does without one.

In eval mode and without gradients `nn.TransformerEncoder`, its layers and `nn.MultiheadAttention` run fused kernels,
whose results differ in the last bits. They do not where some argument has a `__torch_function__`, which is also the
answer while any mode is on the stack.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from typing import Any

from torch import overrides

_ASK = ("torch.nn.modules.activation", "torch.nn.modules.transformer")
"""Modules that ask in order to choose how to compute, and not to hand a call on to a mode."""
_lock = threading.Lock()
_kept: list[FastPaths] = []
_plain: Any = None


class FastPaths:
    """From here until undo() modes of ours count for nothing when torch chooses."""

    def __init__(self, ours: type) -> None:
        global _plain
        self.ours = ours
        with _lock:
            if not _kept:
                _plain, overrides.has_torch_function = overrides.has_torch_function, _answer  # type: ignore[assignment]
            _kept.append(self)

    def undo(self) -> None:
        """The last to go puts torch's own function back."""
        with _lock:
            if self in _kept:
                _kept.remove(self)
                if not _kept and overrides.has_torch_function is _answer:
                    overrides.has_torch_function = _plain


def _answer(arguments: Any) -> bool:
    """What `torch.overrides.has_torch_function` says, to those that choose by it as if our modes were not there."""
    if sys._getframe(1).f_globals.get("__name__") not in _ASK:
        return bool(_plain(arguments))
    stack = overrides._get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    ours = tuple(fast.ours for fast in _kept)
    if not all(isinstance(mode, ours) for mode in stack):
        return bool(_plain(arguments))
    with ExitStack() as aside:
        for _ in stack:
            aside.enter_context(overrides._pop_mode_temporarily())
        return bool(_plain(arguments))
