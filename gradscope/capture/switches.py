"""Switches: who turned gradients off, through all that turns them on and off inside.

The culprit is the switch that took them from on to off. One that is thrown while they are off changes nothing, and
a manager that had turned them on (`enable_grad`, also inside torch's own functions) only restores when it is left.
"""

from __future__ import annotations

from types import CodeType, FrameType

import torch

from gradscope.capture.source import EMPTY, Stack, snapshot

KEPT = 1000
"""Managers remembered; one that is left in order is forgotten at once."""


class Switches:
    """Follows the grad mode of one thread."""

    def __init__(self) -> None:
        self.off: Stack = EMPTY
        """Where gradients were turned off; empty while they are on, and where that was not seen."""
        self._before: dict[int, Stack] = {}
        """Per manager that was entered: who had turned them off before."""

    def seen(self, enabled: bool, frame: FrameType) -> None:
        """The grad mode is about to be set."""
        manager, entering, leaving = _manager(frame)
        if entering:
            if len(self._before) >= KEPT:
                self._before.clear()
            self._before[manager] = self.off
        before = self._before.pop(manager, EMPTY) if leaving else EMPTY
        if enabled:
            self.off = EMPTY
        elif torch.is_grad_enabled():
            self.off = before if leaving else _turned_off(frame)


def _manager(frame: FrameType) -> tuple[int, bool, bool]:
    """The context manager of torch that sets the mode, and whether it is being entered or left."""
    outermost = frame
    while outermost.f_back is not None and outermost.f_back.f_code.co_filename.endswith("grad_mode.py"):
        outermost = outermost.f_back
    if not outermost.f_code.co_filename.endswith("grad_mode.py"):
        return 0, False, False
    manager = outermost.f_locals.get("self")
    name = outermost.f_code.co_name
    again = isinstance(manager, torch.set_grad_enabled) and name == "__enter__"  # it was set when it was made
    return id(manager), name in ("__init__", "__enter__") and not again, name in ("__exit__", "__call__")


def _turned_off(frame: FrameType) -> Stack:
    """Where gradients are being turned off: the `with` line, or the decorator of the function that was called."""
    at: FrameType | None = frame
    while at is not None:
        if at.f_code.co_name in ("decorate_context", "generator_context") and "func" in at.f_locals:
            code = getattr(at.f_locals["func"], "__code__", None)
            if isinstance(code, CodeType):
                outer = snapshot(at)
                return Stack(((code, -1), *outer.frames), outer.marks)
        if at.f_code.co_filename.endswith(("grad_mode.py", "_contextlib.py")):
            at = at.f_back
            continue
        break
    return snapshot(frame)
