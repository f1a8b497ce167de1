"""The options that every command has which runs a script, and where their reports go."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER, ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.errors import GradscopeError

if TYPE_CHECKING:
    from gradscope.report import Report

STDOUT = "-"


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_script(parser: ArgumentParser) -> None:
    """Which script to run, and how. Options after the script are the script's own."""
    parser.usage = "%(prog)s [OPTIONS] [-m] SCRIPT [ARGS ...]"
    parser.add_argument(
        "-m", dest="module", action="store_true", help="SCRIPT is the name of a module, as in python -m"
    )
    parser.add_argument("--steps", type=positive, metavar="N", help="end the script after N steps of its loop")
    parser.add_argument("--out", metavar="RUNFILE", help="keep the facts for `gradscope report`")
    parser.add_argument("--no-compile", action="store_true", help="switch torch.compile off, so that lines can be told")
    parser.add_argument("target", metavar="SCRIPT", nargs=REMAINDER, help="the script, then its own arguments")


def add_outputs(parser: ArgumentParser) -> None:
    """Where the report goes besides the terminal."""
    parser.add_argument(
        "--json",
        metavar="PATH",
        help="write the report as JSON; - is the standard output, after what the script prints",
    )
    parser.add_argument("--markdown", metavar="PATH", help="write the report as Markdown; - is the standard output")
    parser.add_argument("--html", metavar="PATH", help="write the report as one HTML page")
    parser.add_argument("--quiet", action="store_true", help="print no report")


def read_target(args: Namespace) -> tuple[str, list[str]]:
    """The script or module that was named, and its arguments."""
    target = args.target[1:] if args.target[:1] == ["--"] else args.target
    if not target:
        raise GradscopeError(f"which {'module' if args.module else 'script'}? See `gradscope run --help`")
    return target[0], target[1:]


def anchor_outputs(args: Namespace) -> None:
    """Make the paths absolute before the script can change the folder, and refuse those that cannot be written."""
    for name in ("json", "markdown", "html", "out", "output"):
        given = getattr(args, name, None)
        if given is None or given == STDOUT:
            continue
        path = Path(given).absolute()
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise GradscopeError(f"cannot write {given}: " + ("it is a folder" if path.is_dir() else "no such folder"))
        setattr(args, name, str(path))


def write_outputs(report: Report, args: Namespace) -> None:
    """Write the report in every form that was asked for."""
    from gradscope.render.html import render_page
    from gradscope.render.json import render_json
    from gradscope.render.markdown import render_markdown
    from gradscope.render.sources import read_sources

    def page(report: Report) -> str:
        return render_page(report, sources=read_sources(report))

    for path, render in ((args.json, render_json), (args.markdown, render_markdown), (args.html, page)):
        if path == STDOUT:
            print(render(report), file=sys.__stdout__, flush=True)
        elif path is not None:
            Path(path).write_text(render(report), encoding="utf-8")
