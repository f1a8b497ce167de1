"""Tracing in a loop whose steps the user marks: from the step after something looked wrong, for a whole turn.

What the user marks need not be the turn: a trainer tells only that a step is over, others mark the optimizer's part.
So tracing goes on past the mark until what it was begun for has been seen, and it ends where it may: at a mark where
the mode on top of the thread's stack is ours and nothing lies below it that somebody else will take off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.overrides import _get_current_function_mode

if TYPE_CHECKING:
    from gradscope.capture.capture import Capture

LONGEST = 8
"""Marks after which tracing ends whatever it saw: an optimizer that steps in every hundredth turn is not waited for."""


class Marked:
    """Begins and ends the tracing of one capture."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._tracing = False
        self._marks = 0
        """Ends of marked steps since tracing began."""
        self._wanted: frozenset[int] = frozenset()
        """Parameters for which it began."""
        capture.whole = False

    def begin(self) -> None:
        """A marked step begins: trace it if the ones before left something to explain."""
        capture = self._capture
        capture.watcher.loop.explicit = True
        if capture.registry.dirty:
            capture.watcher.read_again()
        if capture.tracer is None and capture.is_open and capture.watcher.suspicions.take():
            self._wanted = capture.watcher.suspicions.taken
            self._tracing, self._marks = True, 0
            capture.start_tracing()

    def end(self, *, whole: bool, failed: bool = False) -> None:
        """A marked step is over. `whole`: nothing of the turn lies outside of it. `failed`: with an exception."""
        capture = self._capture
        if not self._tracing:
            return
        if capture.tracer is None or not capture.tracer.active:
            self.stop()
            return
        self._marks += 1
        held = self._stepped()
        capture.whole = capture.whole or (held and (whole or self._marks > 1)) or self._marks >= LONGEST
        seen = held and (self._marks > 1 or self._seen())
        if failed or seen or self._marks >= LONGEST or not _may_stay(capture.tracer):
            self.stop()

    def stop(self) -> None:
        """End tracing now."""
        if self._tracing:
            self._tracing = False
            self._capture.stop_tracing()
            self._capture.settle()

    def _stepped(self) -> bool:
        """Whether a backward pass ran, and all optimizers stepped that hold what tracing is for."""
        tape = self._capture.tape
        if tape is None:
            return False
        stepped = frozenset[int]().union(*tape.held)
        held = {uid for known in self._capture.watcher.book.known for uid in known.uids}
        return bool(tape.roots) and self._wanted & held <= stepped

    def _seen(self) -> bool:
        """Whether something was computed from each parameter that tracing is for."""
        return self._capture.tape is not None and self._wanted <= self._capture.tape.read()


def _may_stay(tracer: object) -> bool:
    """Whether a mode may stay on the stack when the user's code goes on: nobody below it is about to leave."""
    modes = [torch._C._get_function_stack_at(n) for n in range(torch._C._len_torch_function_stack())]
    default = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)  # lies there for good
    below = [mode for mode in modes[:-1] if mode is not default]
    return not below and _get_current_function_mode() is tracer  # type: ignore[no-untyped-call]
