"""Where text is printed: how wide it may be, whether in colour, and which characters the other side knows."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gradscope.report import Report

PIPED_WIDTH = 100
BOX_CHARACTERS = "─│┌✓"


def say(text: str, stream: TextIO | None = None) -> None:
    """Print on the standard error that the process began with: the script may have replaced or closed `sys.stderr`.

    Whoever reads it, such as `head`, may have read enough: then it goes nowhere.
    """
    with suppress(AttributeError, OSError, ValueError):  # whatever the script has done to its own stdout
        sys.stdout.flush()
    target = stream or sys.__stderr__
    try:
        print(text, file=target, flush=True)
    except BrokenPipeError:
        silence(target)


def silence(stream: TextIO | None) -> None:
    """Let what a stream still holds go nowhere, or python complains of it when it exits, with a status of its own."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]


def flush() -> None:
    """Write what the script printed; where nobody reads it, nowhere."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            silence(stream)
        except (AttributeError, OSError, ValueError):
            pass  # closed or replaced by the script


def print_report(report: Report, stream: TextIO | None = None) -> None:
    """Print the report as text; by default where the script's own output is not disturbed, on the standard error."""
    from gradscope.render.text import render_text

    target = stream or sys.__stderr__
    if target is not None:
        say(render_text(report, width=width(target), color=in_color(target), unicode=knows_boxes(target)), target)


def width(stream: TextIO) -> int:
    return shutil.get_terminal_size().columns if stream.isatty() else PIPED_WIDTH


def in_color(stream: TextIO) -> bool:
    """On a terminal, unless NO_COLOR is set (no-color.org); elsewhere only with FORCE_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def knows_boxes(stream: TextIO) -> bool:
    try:
        BOX_CHARACTERS.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
