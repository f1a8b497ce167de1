"""One report for a job that torchrun started: the ranks tell rank 0 what they saw, and rank 0 prints.

* torchrun's own store carries it: it outlives each rank, and the process group of the script.
* A rank that crashed prints itself if rank 0 does not come within a few seconds: mostly that is blocked, waiting for
  the rank that crashed. Whoever prints has claimed it in the store, so that it is one.
* Such a blocked rank is heard, too: a thread of it looks for an alarm twice a second, and tells the counts.
* torchrun ends the other ranks by SIGTERM as soon as one fails: they report first, also if they are blocked
  (`blocked`). What a killed rank has left in its run file (`--out`) is read from there.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gradscope.cli.blocked import BLOCKED as ENDED
from gradscope.errors import RunFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from gradscope.capture.exchange import Exchange
    from gradscope.job import Summary
    from gradscope.records import Run
    from gradscope.session import Session

TERMINATED = 128 + signal.SIGTERM
PATIENCE, CRASH_PATIENCE, HURRY = 30.0, 5.0, 2.0
"""Seconds: rank 0 waits for the others; a crashed rank for any other; whoever was told to end for anybody."""
LOOK = 0.5
"""Seconds between two looks for an alarm."""
ALARM = "gradscope/alarm"
BLOCKED = "it was still running"


def world() -> tuple[int, int]:
    """Rank and number of processes as the launcher says; (0, 1) without one."""
    try:
        return int(os.environ["RANK"]), int(os.environ.get("WORLD_SIZE", "1"))
    except (KeyError, ValueError):
        return 0, 1


class Ending:
    """How a process of a job is made to end: SIGTERM ends the script like sys.exit does, and waits for the report."""

    def __init__(self) -> None:
        self.told = False
        self.at = ""
        """The line at which it was told."""
        self.over = self._ours = False
        self._talk: Exchange | None = None

    def attach(self) -> None:
        """Hear SIGTERM, unless somebody else does; the script may set its own handler."""
        main = threading.current_thread() is threading.main_thread()
        if world()[1] > 1 and main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._ours = True
            signal.signal(signal.SIGTERM, self._terminate)
            ENDED.attach()

    def _terminate(self, _: int, frame: FrameType | None) -> None:
        if not self.told and not ENDED.claim():
            return  # a thread reports already, as this came so late
        if not self.told and not self.over:
            self.at = _line(frame)
        self.told = True
        if self._talk is not None:
            self._talk.hurry(HURRY)
        if not self.over:
            raise SystemExit(TERMINATED)

    def reports(self, talk: Exchange) -> None:
        """From here on nothing but the waiting is cut short."""
        self._talk = talk
        if self.told:
            talk.hurry(HURRY)

    def script_is_over(self) -> None:
        self.over = True

    def finish(self) -> None:
        """End by the signal that the report has delayed."""
        if self.told and self._ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)


ENDING = Ending()


def answer_alarms(session: Session) -> None:
    """In a thread: when a rank has failed, tell it what was seen here, though the script is blocked waiting for it."""
    if world()[1] > 1 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        threading.Thread(target=_listen, args=(session,), name="gradscope-ranks", daemon=True).start()


def _listen(session: Session) -> None:
    from gradscope.capture.exchange import Exchange
    from gradscope.job import encode, summarize

    rank, size = world()
    with suppress(RuntimeError, ValueError):  # the store is gone: so is the job
        store = _store()
        while store is not None:
            time.sleep(LOOK)
            if ENDING.over:
                return
            if store.check([ALARM]):
                missing = f"{BLOCKED}{_line(_main_frame())}"
                mine = summarize(session.glance(), rank, size, host=socket.gethostname(), missing=missing)
                Exchange(store, rank, size, topic="alarm").say(encode(mine))
                return


def _main_frame() -> FrameType | None:
    return sys._current_frames().get(threading.main_thread().ident or 0)


def _line(frame: FrameType | None) -> str:
    """Where the script is, by its own line."""
    from gradscope.capture.source import location
    from gradscope.capture.variables import user_frames

    user = next(user_frames(frame), None)
    return f" at {location(user.f_code.co_filename, user.f_lineno, user.f_code.co_name)}" if user is not None else ""


def share(run: Run, status: int, out: str | None) -> Run | None:
    """The facts of the job if this process is the one to print them; None if another does."""
    rank, size = world()
    if size < 2:
        return run
    from gradscope.asking import noted

    try:
        store = _store()
        if store is None:
            told = noted(run, "without torchrun the ranks cannot be asked: use --out and `gradscope report`")
            return told if rank == 0 else None
        return _talk(run, status, out, store)
    except (RuntimeError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        return noted(run, f"the other ranks could not be asked: {first}") if rank == 0 else None


def _store() -> Any | None:
    """A connection of our own to the store of torchrun."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    import torch

    distributed: Any = torch.distributed
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = distributed.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=10))
    return distributed.PrefixStore(f"run{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _talk(run: Run, status: int, out: str | None, store: Any) -> Run | None:
    from gradscope.asking import gather
    from gradscope.capture.exchange import Exchange
    from gradscope.job import encode, summarize, with_job

    rank, size = world()
    mine = summarize(run, rank, size, host=socket.gethostname(), missing=_ended(status))
    patience = HURRY if status == TERMINATED else PATIENCE if rank == 0 and status == 0 else CRASH_PATIENCE
    talk = Exchange(store, rank, size, topic="exit", timeout=patience)
    ENDING.reports(talk)
    talk.say(encode(mine))
    if status != 0:
        store.set(ALARM, b"1")
    if rank != 0 and (status == 0 or _rank_0_prints(talk)):
        return None
    if store.add("gradscope/printer", 1) != 1:
        return None
    job = gather(mine, talk, lambda silent: _otherwise(silent, store, out))
    return with_job(run, job)


def _otherwise(silent: set[int], store: Any, out: str | None) -> Iterator[Summary]:
    """What is known of ranks that have not come to their end: from their threads, or else from their run files."""
    from gradscope.capture.exchange import Exchange
    from gradscope.job import decode

    rank, size = world()
    left = set(silent)
    for _, body in Exchange(store, rank, size, topic="alarm", timeout=0.0).said(sorted(left)):
        summary = decode(body)
        left.discard(summary.rank)
        yield summary
    yield from _from_files(out, left, size)


def _rank_0_prints(talk: Exchange) -> bool:
    """Whether rank 0 has come to its end, too."""
    return any(True for _ in talk.said([0]))


def _ended(status: int) -> str:
    if status == 0:
        return ""
    if status != TERMINATED:
        return f"it failed with exit status {status}"
    blocked = threading.current_thread() is not threading.main_thread()  # it speaks in place of the script
    return f"it was told to end{_line(_main_frame()) if blocked else ENDING.at}"


def _from_files(out: str | None, ranks: Iterable[int], size: int) -> list[Summary]:
    """What these ranks have in their run files."""
    if out is None:
        return []
    from gradscope.job import summarize
    from gradscope.runfile import open_run, rank_path

    found = []
    for other in ranks:
        path = rank_path(out, {"RANK": str(other), "WORLD_SIZE": str(size)})
        if not path.is_file():
            continue
        try:
            opened = open_run(path)
        except RunFileError:
            continue
        missing = "" if opened.finished else "it ended before it could report; this is what its run file holds"
        found.append(summarize(opened.run, other, size, missing=missing))
    return found
