"""Threads: which one trains, and how tracing gets there and away again.

* torch keeps its modes per thread. Tracing begins in one and follows one at a time: it moves to another when that one
  has run backward passes which the traced one did not, at a point where the code that runs there is the user's.
* A thread that only computes (it loads data, plays a game, evaluates) is never traced, nor are those of the engine.
* Nobody can take a mode off the stack of another thread. It rests there and hands every call on; when tracing is
  over, the next call of torch in that thread takes it off.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from types import FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode, _pop_mode, _push_mode

from gradscope.capture.fast_paths import FastPaths
from gradscope.capture.source import Places, Stack, snapshot

TWICE = 2
"""Passes in a row in other threads after which one that has trained is left: threads may take turns."""
EVENTS = 1000
"""Calls and returns during which a mode is waited for to lie on top."""


class Mode(TorchFunctionMode):
    """One of ours."""

    retired = False
    """It sees nothing any more, and may be taken off every stack."""

    def __init__(self) -> None:
        super().__init__()
        self._fast_paths = FastPaths(Mode)

    def retire(self) -> None:
        """See nothing more."""
        self.retired = True
        self._fast_paths.undo()


class _Token:
    """Lives as long as a thread."""

    __slots__ = ("__weakref__", "ident", "number")

    def __init__(self) -> None:
        self.number = next(_count)
        self.ident = threading.get_ident()


_count = itertools.count(1)
_local = threading.local()
_alive: weakref.WeakValueDictionary[int, _Token] = weakref.WeakValueDictionary()


def here() -> int:
    """The number of this thread, which no other is ever given, as python's own are."""
    try:
        return _local.number  # type: ignore[no-any-return]
    except AttributeError:
        token = _local.token = _Token()
        _alive[token.number] = token
        _local.number = token.number
        return token.number


def caller(frame: FrameType, places: Places) -> tuple[Stack, int]:
    """The stack that called backward, and its thread; on a device's engine thread, those of the one that waits."""
    stack = places.snapshot(frame)
    if stack.frames:
        return stack, here()
    frames = sys._current_frames()
    waiting = [n for n, top in frames.items() if top.f_code.co_name == "_engine_run_backward"]
    ident = waiting[0] if len(waiting) == 1 else threading.main_thread().ident or 0
    return snapshot(frames.get(ident)), next((t.number for t in list(_alive.values()) if t.ident == ident), 0)


class Threads:
    """Who ran the backward passes."""

    def __init__(self) -> None:
        self._traced = 0
        self._last = 0
        """The thread of the last pass."""
        self._apart = 0
        """Passes in a row outside of the traced thread."""
        self._trained = False
        """The traced thread has run a pass."""

    def begin(self) -> None:
        """This thread is traced from here on."""
        self._traced = here()
        self._trained = self._last == self._traced
        self._apart = 0 if self._trained or not self._last else TWICE

    def passed(self, thread: int) -> bool:
        """A pass runs in a thread; returns whether that is the traced one."""
        own = thread == self._traced
        self._last = thread
        self._trained |= own
        self._apart = 0 if own else self._apart + 1
        return own

    def calls(self) -> bool:
        """Whether tracing should come here: this thread has run the last pass, or the one that had is gone."""
        if not self._last or self._traced == here() or (self._last != here() and self._last in _alive):
            return False
        return self._traced not in _alive or self._apart >= (TWICE if self._trained else 1)


# --- modes ---------------------------------------------------------------------------------------------------


def modes() -> list[Any]:
    """The modes on this thread's stack, less that of the default device, which lies there for good."""
    stack = [torch._C._get_function_stack_at(n) for n in range(torch._C._len_torch_function_stack())]
    default = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return [mode for mode in stack if mode is not default]


def rest(mode: Mode) -> bool:
    """Put a mode on this thread's stack, below all that is entered later; not above what somebody will take off."""
    if torch._C._current_graph_task_id() >= 0:
        return False
    clear()
    found = modes()
    if not found:
        _push_mode(mode)  # type: ignore[no-untyped-call]
    return not found or any(each is mode for each in found)


def clear() -> None:
    """Take what is retired off this thread's stack, as far as it lies on top."""
    while isinstance(mode := _get_current_function_mode(), Mode) and mode.retired:  # type: ignore[no-untyped-call]
        leave(mode)


def leave(mode: Mode) -> bool:
    """Take a mode off this thread's stack if it lies on top."""
    if _get_current_function_mode() is not mode:  # type: ignore[no-untyped-call]
        return False
    _pop_mode()  # type: ignore[no-untyped-call]
    return True


def leave_soon(mode: Mode) -> None:
    """Take a mode off this thread's stack when the call of torch that it is asked for is over."""
    if sys.getprofile() is not None:
        return  # somebody is measuring: at a later call
    left = EVENTS

    def look(*_: object) -> None:
        nonlocal left
        left -= 1
        if leave(mode) or left < 0:
            sys.setprofile(None)

    sys.setprofile(look)
