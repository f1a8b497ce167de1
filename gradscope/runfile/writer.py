"""The writer a live scope holds: a step that is handed over is on disk, everything slow is done by a thread of its own.

* When `events` returns, the step is safe from `kill -9`. It is written by the thread that hands it over: packing needs
  the interpreter anyway, and to wait for another thread took three times as long as the write.
* Snapshots and what makes the disk wait, moving the log into the file, are left to the writer's own thread.
* On a network file system, where a commit takes milliseconds, that thread also writes the steps, and up to 16 of them
  may wait and share a commit.
* A full disk or any other failure of the file never stops the training: it is told once, as a warning, and the file
  keeps what it had.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
import warnings
from collections import deque
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.errors import RunFileError
from gradscope.runfile.lock import WriterLock
from gradscope.runfile.schema import APPLICATION_ID, create, journal_mode
from gradscope.runfile.store import Facts, Store, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradscope.records import Event, Run

MAX_BYTES = 2 * 2**30
LOG_BYTES = 4 * 2**20
"""Size at which the log is moved into the file: SQLite's own default."""
_SIDE_FILES = ("", "-wal", "-journal")


class RunWriter:
    """Writes one run: `begin`, then `events` per step with a `snapshot` now and then, then `finish` or `close`."""

    def __init__(self, path: str | Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Create the file; a former run of this name is kept as `NAME.previous.SUFFIX`.

        Raises RunFileError if it cannot be created, is being written, or is some other file.
        """
        self.path = Path(path)
        self.failure: str | None = None
        """Why writing stopped, where it did."""
        self.committed = -1
        """The last step that is on disk."""
        self._direct = journal_mode(self.path) == "WAL"
        self._depth = 1 if self._direct else 16
        self._process = os.getpid()
        self._pending: deque[Turn | Facts] = deque()
        self._changed = threading.Condition()
        self._closing = self._closed = self._told = False
        try:
            self._lock = WriterLock(self.path)
            try:
                _set_aside(self.path)
                self._connection = create(self.path, max_bytes)
            except BaseException:
                self._lock.release()
                raise
        except (OSError, sqlite3.Error) as error:
            missing = not self.path.absolute().parent.is_dir()
            why = f"there is no folder {str(self.path.parent)!r}" if missing else str(error)
            raise RunFileError(f"cannot write the run file {str(self.path)!r}: {why}") from error
        if self._direct:
            self._connection.execute("PRAGMA wal_autocheckpoint=0")  # or a step would wait for the disk
        self._store = Store(self._connection, max_bytes)
        self._thread = threading.Thread(target=self._work, name="gradscope-runfile", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def begin(self, run: Run) -> None:
        """Write what is known before the first step. Returns when it is on disk."""
        self._hand_over(Facts(run))
        self._drain()
        if self.failure is None:
            # Moves the beginning from the log into the file itself: a copy of the file alone then opens.
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def events(self, step: int, events: Sequence[Event]) -> None:
        """Hand over all events of a completed step."""
        turn = Turn(step, tuple(events))
        if not self._direct:
            self._hand_over(turn)
            return
        if self._closed or os.getpid() != self._process:
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._pending or self.failure is not None)
            if self.failure is None:
                self._settle([turn], self._write([turn]))
                if self._store.logged > LOG_BYTES:
                    self._changed.notify_all()
        self._tell()

    def snapshot(self, run: Run) -> None:
        """Renew everything but the events, when models or optimizers joined, and every few hundred steps.

        The tallies must count exactly the events handed over so far.
        """
        self._hand_over(Facts(run))

    def finish(self, run: Run) -> None:
        """Write the final facts and close the file. Events are not taken from `run`, only from `events`."""
        self._hand_over(Facts(run, final=True))
        self.close()

    def close(self) -> None:
        """Write what was handed over and close the file, finished or not. Twice is once."""
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        atexit.unregister(self.close)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._tell()
        try:
            # A finished file is a plain one: readable from a read-only medium, nothing beside it.
            self._connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error:
            pass  # A reader has it open: it stays in WAL mode, which reads as well.
        finally:
            self._connection.close()
            self._lock.release()

    # --- the thread between --------------------------------------------------------------------------------------

    def _hand_over(self, item: Turn | Facts) -> None:
        # A forked data-loader worker has this object but not its thread: nobody would take the item.
        if self._closed or os.getpid() != self._process:
            return
        with self._changed:
            self._changed.wait_for(lambda: len(self._pending) < self._depth or self.failure is not None)
            if self.failure is None:
                self._pending.append(item)
                self._changed.notify_all()
        self._tell()

    def _drain(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._pending or self.failure is not None)
        self._tell()

    def _tell(self) -> None:
        if self.failure is not None and not self._told:
            self._told = True
            warnings.warn(
                f"gradscope stopped writing {self.path.name!r} after step {self.committed}: {self.failure}; "
                "the training goes on",
                RuntimeWarning,
                stacklevel=4,
            )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closing or self._store.logged > LOG_BYTES)
                batch = list(self._pending)
                full = self._store.logged > LOG_BYTES
                self._store.logged = 0 if full else self._store.logged
            if batch:
                failure = self._write(batch)
                with self._changed:
                    for _ in batch:
                        self._pending.popleft()
                    self._settle(batch, failure)
                    self._changed.notify_all()
            elif not full:
                return
            if full:
                self._move_log()
            if self.failure is not None:
                return

    def _settle(self, batch: list[Turn | Facts], failure: str | None) -> None:
        """Note what became of these; the lock is held."""
        if failure is not None:
            self.failure = failure
            self._pending.clear()
        else:
            self.committed = max([self.committed, *(item.step for item in batch if isinstance(item, Turn))])

    def _move_log(self) -> None:
        """Move what is in the log into the file, so that the log begins anew.

        Most of it beside the training, on a connection of its own; the steps written meanwhile while none is written.
        """
        if self._direct:
            with suppress(sqlite3.Error), closing(sqlite3.connect(self.path, timeout=0)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                with self._changed:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _write(self, batch: list[Turn | Facts]) -> str | None:
        try:
            self._store.write(batch)
        except Exception as error:  # noqa: BLE001 - the training waits for this thread, and must not wait for ever
            return f"{error}" or type(error).__name__
        return None


def write_run(path: str | Path, run: Run) -> None:
    """Write a whole run, its events included, and close the file."""
    writer = RunWriter(path)
    writer.begin(run)
    for step, events in _turns(run.events):
        writer.events(step, events)
    writer.finish(run)
    if writer.failure is not None:
        raise RunFileError(f"cannot write the run file {str(path)!r}: {writer.failure}")


def _turns(events: Sequence[Event]) -> Iterator[tuple[int, tuple[Event, ...]]]:
    for step, group in groupby(events, key=lambda event: event.step):
        yield step, tuple(group)


def _is_run_file(path: Path) -> bool:
    """By its signature alone: a damaged run is still one of ours. Only safe while no connection to it is open here."""
    with path.open("rb") as file:
        return file.read(72)[-4:] == APPLICATION_ID.to_bytes(4, "big")


def _set_aside(path: Path) -> None:
    """Keep a former run under another name: the restart of a killed job must not delete what it left."""
    if not path.exists() or path.stat().st_size == 0:
        path.with_name(path.name + "-wal").unlink(missing_ok=True)
        return
    if not _is_run_file(path):
        raise RunFileError(f"{path.name!r} exists and is not a gradscope run file: choose another name")
    former = path.with_name(f"{path.stem}.previous{path.suffix}")
    for side in _SIDE_FILES:
        former.with_name(former.name + side).unlink(missing_ok=True)
        if (current := path.with_name(path.name + side)).exists():
            current.replace(former.with_name(former.name + side))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
