"""How far a long run has got, on a terminal only.

* Never in a pipe or a file: what the script prints there is the script's alone.
* Where only our own output is on the terminal, one line is kept up to date. Where the script's output is there too, a
  whole line is added now and then: a line that is overwritten would tear the script's lines apart.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

AFTER = 5.0
"""A short run needs no progress."""
REFRESH = 0.5
ADD_LINE = 30.0
CLEAR = "\r\x1b[2K"


@dataclass
class Progress:
    """Told of each step; says every now and then how many there were."""

    stream: TextIO
    alone: bool
    """Nothing else is written to this terminal."""
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    said: float = field(init=False)
    shown: bool = False
    first: float | None = None
    """When the first step was over: what came before it says nothing about the pace."""

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.said = self.started + AFTER - (REFRESH if self.alone else ADD_LINE)

    def step(self, step: int) -> None:
        now = self.clock()
        if self.first is None:
            self.first = now
        if now - self.said < (REFRESH if self.alone else ADD_LINE):
            return
        self.said = now
        self._write(CLEAR + _line(step, now - self.started, now - self.first) + ("" if self.alone else "\n"))
        self.shown = self.alone

    def close(self) -> None:
        """Take the line away."""
        if self.shown:
            self._write(CLEAR)
        self.shown = False

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone: the run is not affected
            self.stream.write(text)
            self.stream.flush()


def progress_on(stderr: TextIO | None, stdout: TextIO | None) -> Progress | None:
    """Progress on the standard error, if that is a terminal."""
    if stderr is None or not _is_terminal(stderr) or os.environ.get("TERM") == "dumb":
        return None
    return Progress(stderr, alone=stdout is None or not _is_terminal(stdout))


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _line(last: int, seconds: float, since_first: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    said = f"gradscope: step {last + 1:,}, {minutes}:{rest:02d}"
    if last < 1 or since_first <= 0:
        return said
    rate = last / since_first
    return said + (f", {rate:.1f} steps/s" if rate >= 1 else f", {1 / rate:.1f} s/step")
