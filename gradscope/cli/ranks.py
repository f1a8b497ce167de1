"""One report for a job that torchrun started: the ranks tell rank 0 what they saw, and rank 0 prints.

* torchrun's own store carries it: it outlives each rank, and the process group of the script.
* A rank that crashed prints itself if rank 0 does not come within a few seconds: mostly that is blocked, waiting for
  the rank that crashed. Whoever prints has claimed it in the store, so that it is one.
* torchrun ends the other ranks by SIGTERM as soon as one fails: they report first. What a killed rank has left in its
  run file (`--out`) is read from there.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gradscope.errors import RunFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradscope.capture.exchange import Exchange
    from gradscope.job import Summary
    from gradscope.records import Run

TERMINATED = 128 + signal.SIGTERM
PATIENCE, CRASH_PATIENCE, HURRY = 30.0, 5.0, 2.0
"""Seconds: rank 0 waits for the others; a crashed rank for rank 0; whoever was told to end for anybody."""


def world() -> tuple[int, int]:
    """Rank and number of processes as the launcher says; (0, 1) without one."""
    try:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return 0, 1


def end_by_exception() -> None:
    """Let SIGTERM end the script like sys.exit does, so that there is a report; the script may set its own handler."""
    usual = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if world()[1] > 1 and usual:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: object) -> None:
    raise SystemExit(TERMINATED)


def end_as_told(status: int) -> None:
    """End by the signal that the report has delayed."""
    if status == TERMINATED and signal.getsignal(signal.SIGTERM) is _terminate:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


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

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = torch.distributed.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=10))
    return torch.distributed.PrefixStore(f"run{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _talk(run: Run, status: int, out: str | None, store: Any) -> Run | None:
    from gradscope.asking import gather
    from gradscope.capture.exchange import Exchange
    from gradscope.job import encode, summarize, with_job

    rank, size = world()
    mine = summarize(run, rank, size, host=socket.gethostname(), missing=_ended(status))
    patience = HURRY if status == TERMINATED else PATIENCE if rank == 0 else CRASH_PATIENCE
    talk = Exchange(store, rank, size, topic="exit", timeout=patience)
    talk.say(encode(mine))
    if rank != 0 and (status == 0 or _rank_0_prints(talk)):
        return None
    if store.add("gradscope/printer", 1) != 1:
        return None
    others = Exchange(store, rank, size, topic="exit", timeout=patience if rank == 0 else 0.0)
    job = gather(mine, others, lambda silent: _from_files(out, silent, size))
    return with_job(run, job)


def _rank_0_prints(talk: Exchange) -> bool:
    """Whether rank 0 has come to its end, too."""
    return any(True for _ in talk.said([0]))


def _ended(status: int) -> str:
    if status == 0:
        return ""
    return "it was told to end" if status == TERMINATED else f"it failed with exit status {status}"


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
