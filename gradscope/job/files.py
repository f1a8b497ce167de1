"""The run files of one job, put together: one after the other, whatever became of their processes."""

from __future__ import annotations

import re
from pathlib import Path

from gradscope.errors import RunFileError
from gradscope.job.merge import Merger, with_job
from gradscope.job.summary import summarize
from gradscope.records import Run
from gradscope.runfile import open_run


def siblings(path: str | Path) -> dict[int, Path]:
    """The run files of the other ranks, by rank, beside that of rank 0."""
    path = Path(path)
    pattern = re.compile(re.escape(path.stem) + r"\.rank(\d+)" + re.escape(path.suffix))
    found = {int(match[1]): other for other in path.parent.glob("*") if (match := pattern.fullmatch(other.name))}
    return dict(sorted((rank, other) for rank, other in found.items() if 0 < rank < 1_000_000))


def merge_files(run: Run, path: str | Path) -> Run:
    """The facts of rank 0 with what the files beside its own tell of the other ranks; as it is if there are none."""
    others = {rank: other for rank, other in siblings(path).items() if run.world < 2 or rank < run.world}
    if not others:
        return run
    world = max([*others, run.world - 1]) + 1
    merger = Merger(world)
    merger.add(summarize(run, run.rank, world))
    for rank, other in others.items():
        try:
            opened = open_run(other)
        except RunFileError as error:
            merger.lost(rank, f"its run file cannot be read: {error}")
            continue
        ended = "" if opened.finished else "it ended without closing its run file"
        missing = "it was still running" if opened.live and not opened.finished else ended
        merger.add(summarize(opened.run, rank, world, missing=missing))
    return with_job(run, merger.job(run.rank))
