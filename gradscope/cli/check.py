"""Run a training script and fail if a model does not learn: `gradscope run` for continuous integration.

Exit status: 0 nothing found; 1 a finding at or above --fail-on; 2 nothing could be judged (no such script, no torch,
no backward, nothing trainable), or wrong usage; the script's own status if it failed itself; 130 after Ctrl-C.

What the options leave open is read from [tool.gradscope] of the nearest pyproject.toml: select, ignore, fail-on,
expect-no-grad, baseline. In the source, `# gradscope: expect-no-grad` at a line lets its finding pass.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.cli import baseline, options, selection, terminal
from gradscope.cli.runner import run_script

if TYPE_CHECKING:
    from gradscope.report import Report

FOUND = 1
UNUSABLE = 2

FORMATS = ("text", "json", "sarif", "github", "junit")


def configure(parser: ArgumentParser) -> None:
    selection.add_options(parser)
    parser.add_argument("--format", choices=FORMATS, default="text", help="what is printed")
    parser.add_argument("--output", metavar="PATH", help="write it there, not among the output of the script")
    parser.add_argument("--update-baseline", action="store_true", help="write all findings to the baseline; succeed")
    options.add_outputs(parser)
    options.add_script(parser)


def run(args: Namespace) -> int:
    from gradscope.selection import expecting, select

    config = selection.complete(args)
    options.anchor_outputs(args)
    args.baseline = config.baseline
    known = baseline.read(args)
    outcome = run_script(args)
    if not outcome.reports:
        return outcome.status
    terminal.flush()  # the status is that of the findings, whoever has stopped reading
    report = select(outcome.report, config, known)
    options.write_outputs(report, args)
    if args.update_baseline:
        baseline.write(args.baseline, expecting(outcome.report, config.expect_no_grad).findings)
    _print(report, args, config.failing, empty=outcome.says_little)
    strange = sorted(set(args.expect_no_grad or ()) - {model.name for model in report.run.models})
    if strange and report.run.models:
        names = ", ".join(model.name for model in report.run.models)
        terminal.say(f"gradscope: --expect-no-grad names {', '.join(strange)}, but the models are {names}")
    if outcome.nothing and not outcome.crashed_early:
        terminal.say(f"gradscope: {outcome.nothing}")
    if outcome.status != 0:
        return outcome.status
    failed = any(finding.severity in config.failing for finding in report.findings)
    if failed and not args.update_baseline:
        return FOUND
    return UNUSABLE if outcome.nothing else 0


def _print(report: Report, args: Namespace, failing: tuple[str, ...], *, empty: bool) -> None:
    """Say the findings in the form asked for; an `empty` report says nothing to a reader."""
    if args.format == "text" and args.output is None:
        if not args.quiet and not empty:
            terminal.print_report(report)
        return
    text = _renderer(args.format, failing)(report)
    if args.output is None:
        terminal.say(text, sys.__stdout__)
    else:
        Path(args.output).write_text(text + "\n", encoding="utf-8")


def _renderer(name: str, failing: tuple[str, ...]) -> Callable[[Report], str]:
    from gradscope.render.github import render_github
    from gradscope.render.json import render_json
    from gradscope.render.junit import render_junit
    from gradscope.render.sarif import render_sarif
    from gradscope.render.text import render_text

    renderers: dict[str, Callable[[Report], str]] = {
        "json": render_json,
        "sarif": render_sarif,
        "github": render_github,
        "junit": partial(render_junit, failing=failing),
    }
    return renderers.get(name, render_text)
