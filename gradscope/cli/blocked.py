"""A process that is told to end while its script is blocked, waiting for another rank, reports all the same.

Python runs the handler of a signal between two instructions of the main thread, and a collective that waits for the
others comes to none: nothing would happen until SIGKILL. What the signal itself does at once is to write a byte to the
wakeup descriptor; a thread reads it, leaves the main thread some time, and speaks in its place.

A forked child (a worker that loads data) must not write there: its own end is not that of the process which forked it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

PATIENCE = 3.0
"""Seconds that the main thread has for an end of its own."""


class Blocked:
    """Calls `report` in a thread and ends the process, if a signal waits for the main thread for too long."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._report: Callable[[], None] | None = None
        self._claim = threading.Lock()
        self._speaker: threading.Thread | None = None
        """The thread, once it is about to report."""

    def attach(self) -> None:
        """Begin to listen, unless somebody else has the descriptor. Call it in the main thread."""
        heard, said = os.pipe()
        os.set_blocking(said, False)
        before = signal.set_wakeup_fd(said, warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
            os.close(heard)
            os.close(said)
            return
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
        threading.Thread(target=self._listen, args=(heard,), name="gradscope-blocked", daemon=True).start()

    def reports(self, report: Callable[[], None]) -> None:
        """What to do in place of the main thread."""
        self._report = report

    def claim(self) -> bool:
        """Whether the one who asks is the first, and so the one to end the process."""
        return self._claim.acquire(blocking=False)

    def give_way(self) -> None:
        """Wait for the end of the process, if the thread reports: what the script waited for may have failed."""
        if self._speaker is not None:
            self._speaker.join()

    def _listen(self, heard: int) -> None:
        while self._number not in os.read(heard, 64):
            pass
        time.sleep(PATIENCE)
        self._speaker = threading.current_thread()
        if self._report is None or not self.claim():
            return
        try:
            self._report()
        finally:
            for stream in (sys.__stdout__, sys.__stderr__):
                if stream is not None:
                    stream.flush()
            os._exit(128 + self._number)


BLOCKED = Blocked(signal.SIGTERM)
