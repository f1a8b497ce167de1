"""Facts to disk as they happen: what a capture has logged goes to a run file, step by step, while training runs.

* A step is handed over when it is over. Where the loop does not say so, that is known only when the next step begins;
  so it is handed over as soon as as many optimizers have stepped as in the step before.
* Norms that are still on their way from a device are not waited for: what is newer than they are is handed over later.
* Names, tallies, cuts and histograms are renewed every 200 steps and when something joined, but never so often that
  it takes more than a small share of the time.
* Nothing in here may stop the training: a fault is told once, and the file keeps what it has.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import warnings
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from gradscope.records import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradscope.capture.capture import Capture
    from gradscope.records import Event

RENEW_EVERY = 200
"""Steps between two snapshots of everything but the events."""
PATIENCE, JOIN_PATIENCE = 100, 10
"""A snapshot waits until this many times what the last one took has passed; one for something that joined, less."""
FREE_JOINS = 20
"""So many of these wait for nothing: models and optimizers join at the beginning."""


class NoRecorder:
    """Writes nothing, and hooks nothing."""

    def follow(self, capture: Capture) -> None: ...

    def let_go(self, capture: Capture) -> None: ...

    def close(self) -> None: ...


class RunRecorder:
    """Writes what one capture sees to one run file, from `follow` to `close`."""

    def __init__(self, to: str | Path, script: str = "") -> None:
        """Create the file, on other ranks than 0 under the name of that rank. Raises RunFileError if that fails."""
        from gradscope.runfile import RunWriter, rank_path  # SQLite and all, for those who write

        self.path = rank_path(Path(to).absolute())
        self.script = script
        self._writer = RunWriter(self.path)
        self._process = os.getpid()
        self._capture: Capture | None = None
        self._begun = self._off = self._closed = self._gap = False
        self._clock = 0
        """Of the last event that was handed over."""
        self._calls = self._usual = 0
        """Calls of optimizers in this turn of the loop, and in the turn before."""
        self._handed_over_at = -1
        """How many calls there had been when this turn was handed over; -1 if it was not yet."""
        self._known: tuple[int, ...] = ()
        self._joins = self._renew_step = 0
        self._renew_time = self._join_time = 0.0
        atexit.register(self.close)

    def follow(self, capture: Capture) -> None:
        """Write what this capture logs from here on."""
        self._capture = capture
        capture.watcher.loop.on_step.append(self._turned)
        capture.watcher.before_optimizer.append(self._called)
        if capture.registry.models:
            self._guard(self._begin)

    def let_go(self, capture: Capture) -> None:
        """Nobody holds the scope any more: say so if that was before anything happened."""
        if capture.is_open and not capture.watcher.log.backwards:
            warnings.warn(
                f"gradscope: the scope that writes {self.path.name!r} was let go before any backward: nothing is in it."
                f" Keep it: scope = gradscope.watch(..., to={self.path.name!r})",
                RuntimeWarning,
                stacklevel=3,
            )

    def close(self) -> None:
        """Write what is left and the final facts. Twice is once."""
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            self._guard(self._finish)
        finally:
            self._off = True
            self._writer.close()

    # --- what the capture tells -----------------------------------------------------------------------------

    def _turned(self, step: int) -> None:
        """A turn of the loop is over."""
        again = self._handed_over_at != self._calls or self._explicit
        self._usual, self._calls, self._handed_over_at = self._calls, 0, -1
        if again:
            self._guard(lambda: self._write(step))

    def _called(self, optimizer: Any, closure: bool) -> None:
        """An optimizer is about to step, or (None) has stepped."""
        if optimizer is not None:
            return
        self._calls += 1
        if not self._begun:
            self._guard(self._begin)
        if self._calls == self._usual and not self._explicit:
            self._handed_over_at = self._calls
            self._guard(self._write_early)

    def _guard(self, action: Callable[[], None]) -> None:
        """Do something that must not stop the training."""
        if self._off or os.getpid() != self._process:
            return
        try:
            action()
        except Exception as error:
            self._off = True
            if self._writer.failure is not None:
                raise  # the writer's own warning, which the user's filters have made an error
            warnings.warn(
                f"gradscope stopped writing {self.path.name!r}: {type(error).__name__}: {error}; the training goes on",
                RuntimeWarning,
                stacklevel=4,
            )
        self._off = self._off or self._writer.failure is not None

    # --- writing --------------------------------------------------------------------------------------------

    @property
    def _explicit(self) -> bool:
        return self._capture is not None and self._capture.watcher.loop.explicit

    def _begin(self) -> None:
        """Nothing was handed over yet, so nothing is counted yet."""
        assert self._capture is not None
        self._begun = True
        started = perf_counter()
        run = self._capture.run(self.script)
        self._writer.begin(dataclasses.replace(run, tallies={}, steps=0, backwards=0, traced=0, histograms=()))
        self._renewed(started)

    def _write_early(self) -> None:
        if not _in_backward():  # an optimizer that steps inside the pass: the turn is not over yet
            assert self._capture is not None
            self._write(self._capture.watcher.log.step)

    def _write(self, step: int) -> None:
        """Hand over the events of a step that is over, and the rest if it is time to."""
        assert self._capture is not None
        if not self._begun:
            self._begin()
        watcher = self._capture.watcher
        inside = _in_backward()
        now = perf_counter()
        joined = self._gap or self._shape() != self._known
        due = step >= self._renew_step and now >= self._renew_time
        renews = due or (joined and (self._joins < FREE_JOINS or now >= self._join_time))
        renews = renews and not (inside and (watcher._open or watcher.passing.late))
        if renews and not inside:
            watcher.catch_up()
        events = self._fresh()
        if events:
            self._writer.events(step, events)
            self._clock = events[-1].clock
        if renews:
            self._writer.snapshot(self._capture.run(self.script))
            self._joins += joined
            self._renew_step = step + RENEW_EVERY
            self._renewed(now)

    def _fresh(self) -> list[Event]:
        """The events that were not handed over, up to the first whose norms are still on their way."""
        assert self._capture is not None
        watcher = self._capture.watcher
        late = watcher.passing.late[0].clock if watcher.passing.late is not None else None
        kept = watcher.log.events()
        first = len(kept)
        while first and kept[first - 1].clock > self._clock:
            first -= 1
        if self._clock and (not first or kept[first - 1].clock != self._clock):
            self._gap = True  # more events in one step than the log keeps: only the tallies know of them
        return [event for event in kept[first:] if late is None or event.clock < late]

    def _shape(self) -> tuple[int, ...]:
        """Changes when a model, a parameter, an optimizer or a traced step joined."""
        assert self._capture is not None
        registry, book = self._capture.registry, self._capture.watcher.book
        held = sum(len(known.uids) for known in book.known)
        return len(registry.models), len(registry.entries), len(book.known), held, self._capture.traced_steps

    def _renewed(self, started: float) -> None:
        now = perf_counter()
        self._known, self._gap = self._shape(), False
        self._renew_time = now + PATIENCE * (now - started)
        self._join_time = now + JOIN_PATIENCE * (now - started)

    def _finish(self) -> None:
        if self._capture is None:
            self._writer.begin(Run(script=self.script))
            self._writer.finish(Run(script=self.script))
            return
        if not self._begun:
            self._begin()
        self._capture.watcher.catch_up()
        events = self._fresh()
        if events:
            self._writer.events(events[-1].step, events)
            self._clock = events[-1].clock
        self._writer.finish(self._capture.run(self.script))


Destination = str | Path | RunRecorder | None
"""Where facts go: a run file, a recorder that was made before, or nowhere."""


def recorder_of(to: Destination) -> RunRecorder | NoRecorder:
    """What writes there. Raises RunFileError if the file cannot be created."""
    if to is None:
        return NoRecorder()
    return to if isinstance(to, RunRecorder) else RunRecorder(to)


def _in_backward() -> bool:
    """Whether this thread runs inside a pass of the autograd engine."""
    from torch._C import _current_graph_task_id

    return _current_graph_task_id() >= 0
