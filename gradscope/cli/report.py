"""Diagnose a run file and print its report; needs no torch.

Exit status: 0, or 2 if the file cannot be read as a run.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from gradscope.cli import options, terminal


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("runfile", metavar="RUNFILE", help="what `gradscope run --out` or watch(to=...) has written")
    options.add_outputs(parser)


def run(args: Namespace) -> int:
    from gradscope.report import Report
    from gradscope.runfile import read_run

    options.anchor_outputs(args)
    report = Report(read_run(args.runfile))
    options.write_outputs(report, args)
    if not args.quiet and "-" not in (args.json, args.markdown):
        terminal.print_report(report, sys.stdout)
    return 0
