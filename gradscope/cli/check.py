"""Run a training script and fail if a model does not learn: `gradscope run` for continuous integration.

Exit status: 0 nothing found; 1 a finding at or above --fail-on; 2 nothing could be judged (no such script, no torch,
no backward, nothing trainable), or wrong usage; the script's own status if it failed itself; 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.cli import baseline, options, selection, terminal
from gradscope.cli.runner import run_script

if TYPE_CHECKING:
    from gradscope.report import Report

FOUND = 1
UNUSABLE = 2

FAILING = {"error": ("error",), "warning": ("error", "warning")}


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--fail-on", choices=FAILING, default="error", help="the least severity that fails (error)")
    selection.add_options(parser)
    parser.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text", help="what is printed")
    parser.add_argument("--output", metavar="PATH", help="write it there, not among the output of the script")
    parser.add_argument("--baseline", metavar="FILE", help="let pass the findings that FILE lists")
    parser.add_argument("--update-baseline", action="store_true", help="write all findings to the baseline; succeed")
    options.add_outputs(parser)
    options.add_script(parser)


def run(args: Namespace) -> int:
    selection.check_codes(args)
    options.anchor_outputs(args)
    known = baseline.read(args)
    outcome = run_script(args)
    if not outcome.reports:
        return outcome.status
    report = selection.narrow(outcome.report, args, known)
    options.write_outputs(report, args)
    if args.update_baseline:
        baseline.write(args.baseline, outcome.report.findings)
    _print(report, args)
    if outcome.nothing:
        terminal.say(f"gradscope: {outcome.nothing}")
    if outcome.status != 0:
        return outcome.status
    if outcome.nothing:
        return UNUSABLE
    failed = any(finding.severity in FAILING[args.fail_on] for finding in report.findings)
    return FOUND if failed and not args.update_baseline else 0


def _print(report: Report, args: Namespace) -> None:
    """Say the findings in the form asked for."""
    if args.format == "text" and args.output is None:
        if not args.quiet:
            terminal.print_report(report)
        return
    text = _renderer(args.format)(report)
    if args.output is None:
        terminal.say(text, sys.__stdout__)
    else:
        Path(args.output).write_text(text + "\n", encoding="utf-8")


def _renderer(name: str) -> Callable[[Report], str]:
    from gradscope.render.github import render_github
    from gradscope.render.json import render_json
    from gradscope.render.sarif import render_sarif
    from gradscope.render.text import render_text

    return {"json": render_json, "sarif": render_sarif, "github": render_github}.get(name, render_text)
