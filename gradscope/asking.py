"""Asks the other ranks for their part of a report, and is honest about those that do not answer."""

from __future__ import annotations

import json
import socket
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from gradscope.capture.exchange import Exchange, group_store
from gradscope.job import Merger, decode, encode, summarize, with_job
from gradscope.records import Job
from gradscope.runfile.codec import coder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradscope.job import Summary
    from gradscope.records import Run

ALONE = "this is rank {rank} of {world} alone; report(ranks=True), called on every rank, asks the others"


def ask(run: Run, timeout: float) -> Run:
    """The facts with those of the job. Each rank has to ask; one that does so alone waits `timeout` seconds."""
    if run.world < 2:
        return run
    store = group_store()
    if store is None:
        return noted(run, "the process group is gone, so the other ranks could not be asked")
    try:
        return exchange(run, Exchange(store, run.rank, run.world, timeout=timeout))
    except (RuntimeError, ValueError) as error:  # the store is gone with rank 0, or its message is not whole
        return noted(run, f"the other ranks could not be asked: {type(error).__name__}: {_first_line(error)}")


def exchange(run: Run, talk: Exchange) -> Run:
    """One round of talk."""
    mine = summarize(run, run.rank, run.world, host=socket.gethostname())
    if run.rank != 0:
        talk.say(encode(mine))
        body = talk.answered()
        if body is None:
            return noted(run, "rank 0 did not answer in time, so nothing is known of the other ranks")
        job = _unpack(body)
        if job.rows[run.rank].missing:
            run = noted(run, f"rank {run.rank} reported too late to be counted by rank 0")
        return with_job(run, replace(job, reporter=run.rank))
    talk.say(b"")
    job = gather(mine, talk)
    talk.answer(_pack(job))
    return with_job(run, job)


def gather(mine: Summary, talk: Exchange, otherwise: Callable[[set[int]], Iterable[Summary]] = lambda _: ()) -> Job:
    """Put together what the others say, as it comes; `otherwise` is asked for those that stay silent."""
    merger = Merger(talk.world)
    merger.add(mine)
    silent = set(range(talk.world)) - {mine.rank}
    for rank, body in talk.said(sorted(silent)):
        silent.discard(rank)
        try:
            merger.add(decode(body))
        except ValueError as error:
            merger.lost(rank, str(error))
    for summary in otherwise(silent):
        silent.discard(summary.rank)
        merger.add(summary)
    for rank in silent:
        merger.lost(rank, "it did not report in time: it has died, is late, or was not asked")
    return merger.job(mine.rank)


def noted(run: Run, note: str) -> Run:
    """The facts with one more note."""
    return replace(run, notes=(*run.notes, note))


def alone(run: Run) -> Run:
    """The facts of one rank, with the note that they are."""
    if run.world < 2 or run.job is not None:
        return run
    return noted(run, ALONE.format(rank=run.rank, world=run.world))


def _pack(job: Job) -> bytes:
    return zlib.compress(json.dumps(coder(Job).encode(job), separators=(",", ":")).encode(), 1)


def _unpack(body: bytes) -> Job:
    job: Job = coder(Job).decode(json.loads(zlib.decompress(body)))
    return job


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
