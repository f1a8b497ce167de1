"""One writer per run file: a lock the system gives back when its process dies, however it dies.

* A file of its own beside the run file: SQLite's own locks are byte ranges of the database, and closing any other
  handle to the database in this process would drop them.
* POSIX locks (`lockf`), not `flock`: those are inherited by forked data-loader workers and would outlive the trainer.
  POSIX locks do not exclude a second writer in the same process, hence `_held`.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from gradscope.errors import RunFileError

if TYPE_CHECKING:
    from pathlib import Path

_held: dict[str, int] = {}
"""Locked paths of this process, with the process that locked them: a fork inherits this mapping, but no lock."""

_PATIENCE = 5
"""A reader that looks whether a run is live holds the lock for an instant: try again this often."""


class WriterLock:
    """Held from construction to `release`; raises RunFileError where another writer holds it."""

    def __init__(self, path: Path) -> None:
        self._target = path
        self._path = lock_path(path)
        self._key = str(self._path)
        if _held.get(self._key) == os.getpid():
            raise _taken(path)
        self._handle = self._acquire()
        _held[self._key] = os.getpid()

    def _acquire(self) -> int:
        for attempt in range(_PATIENCE):
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            if _try_lock(handle, exclusive=True) and _same_file(handle, self._path):
                return handle
            os.close(handle)
            if attempt + 1 < _PATIENCE:
                time.sleep(0.02)
        raise _taken(self._target)

    def release(self) -> None:
        """Give the lock back; twice is once, and in a forked child it is nothing."""
        if _held.get(self._key) != os.getpid():
            return
        del _held[self._key]
        # Before closing: a writer that opened the old file sees that it is no longer the one at this path.
        self._path.unlink(missing_ok=True)
        os.close(self._handle)


def lock_path(path: Path) -> Path:
    """Beside the run file, found through any link to it."""
    resolved = path.resolve()
    return resolved.with_name(resolved.name + ".lock")


def is_live(path: Path) -> bool:
    """Whether some process is writing this run file now."""
    lock = lock_path(path)
    if _held.get(str(lock)) == os.getpid():
        return True
    try:
        handle = os.open(lock, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(handle, exclusive=False)
    finally:
        os.close(handle)


def _taken(path: Path) -> RunFileError:
    return RunFileError(f"{path.name!r} is being written by another run: give this one another name")


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int, *, exclusive: bool) -> bool:  # noqa: ARG001 - Windows knows exclusive locks only
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int, *, exclusive: bool) -> bool:
        try:
            fcntl.lockf(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except PermissionError:  # POSIX allows EACCES for "held by another process".
            return False
        except OSError:
            # A file system without locks: better no protection than no run file.
            return True
        return True
