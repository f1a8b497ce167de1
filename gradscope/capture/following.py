"""Following: the tracing of one capture goes to the thread that trains.

It moves after an optimizer's step there, or where a module is called from outside of any. Once a second thread takes
part, nobody tells all clearing any more: it is read off the gradients, as in a run that is not traced.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gradscope.capture.threads import here

if TYPE_CHECKING:
    from gradscope.capture.capture import Capture

LOOKS = 20
"""Calls of modules in other threads, before the first pass, at which optimizers are looked for."""


class Following:
    """Says which thread is traced."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._looks = 0
        self.joined = False
        """Tracing moved within a turn."""
        capture.calls.on_elsewhere.append(self._module)

    def begin(self) -> None:
        """Tracing begins, in this thread."""
        self.joined = False
        self._capture.calls.thread = here()
        self._capture.watcher.threads.begin()

    def stepped(self, *, over: bool) -> None:
        """In a thread that is not traced, an optimizer is about to step, or has."""
        self._capture.blinded()  # who steps clears
        if over:
            self._follow()

    def _follow(self) -> bool:
        """Move to this thread if it is the one that trains; returns whether tracing moved."""
        capture = self._capture
        if capture.tracer is None or not capture.watcher.threads.calls() or not capture.tracer.move_here():
            return False
        capture.calls.moved()
        capture.watcher.threads.begin()
        capture.moved()
        return True

    def _module(self) -> None:
        """A module runs in a thread that is not traced. Before the first pass: its optimizers tell what to hook."""
        capture = self._capture
        try:
            if self._follow():
                self.joined = True
            elif capture.discover and not capture.watcher.log.backwards and self._looks < LOOKS:
                self._looks += 1
                book = capture.watcher.book
                book.find(sys._getframe(2), only_known=False)
                for number in range(len(book.known)):
                    book.read(number)
                    capture.watcher.attach_parameters(book.uids(number))
        except Exception as error:  # noqa: BLE001 - shields the user's forward
            capture.failed("threads", error)
