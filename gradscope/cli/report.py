"""Diagnose a run file and print its report; needs no torch.

Of a job of several processes the files of the other ranks (NAME.rank1.SUFFIX) are read with it.
With --follow the report is printed again whenever the run has got further, until it ends.

Exit status: 0, or 2 if the file cannot be read as a run.
"""

from __future__ import annotations

import re
import sys
import time
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from gradscope.cli import options, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradscope.report import Report

_RANK = re.compile(r"\.rank\d+(?=(\.[^./]*)?$)")


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "runfile", metavar="RUNFILE", nargs="+",
        help="what `gradscope run --out` or watch(to=...) has written; of a job one file, or those of all its ranks",
    )  # fmt: skip
    parser.add_argument("--follow", action="store_true", help="go on while the run is being written")
    parser.add_argument("--interval", type=options.positive, default=5, metavar="S", help="seconds between looks (5)")
    options.add_outputs(parser)


def run(args: Namespace) -> int:
    options.anchor_outputs(args)
    for report in _reports(_first(args.runfile), args.interval if args.follow else None):
        options.write_outputs(report, args)
        if not args.quiet and "-" not in (args.json, args.markdown):
            terminal.print_report(report, sys.stdout)
    return 0


def _first(paths: list[str]) -> str:
    """The file to begin with; raises GradscopeError unless the others are those of other ranks of the same run."""
    from gradscope.errors import GradscopeError

    first = min(paths, key=lambda path: (len(path), path))
    for path in paths:
        if _RANK.sub("", path) != _RANK.sub("", first):
            raise GradscopeError(f"{path} is of another run than {first}: report one run at a time")
    return first


def _reports(path: str, interval: int | None) -> Iterator[Report]:
    """The report of the run as it is; with an interval, again whenever it has got further, until it ends."""
    from gradscope.job import merge_files
    from gradscope.report import Report
    from gradscope.runfile import open_run

    seen = None
    while True:
        opened = open_run(path)
        progress = (opened.run.steps, opened.run.backwards, opened.finished)
        if progress != seen:
            seen = progress
            yield Report(merge_files(opened.run, path))
        if interval is None or opened.finished or not opened.live:
            return
        time.sleep(interval)
