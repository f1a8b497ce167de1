"""The command `gradscope`: reads the arguments and hands them to one of the commands.

Exit statuses: 0 all is well; 1 `check` found something; 2 wrong usage or input that cannot be used; 130 interrupted.
`run` returns the status of the script it ran. No command module imports torch, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Protocol

from gradscope._version import __version__
from gradscope.cli import check, compare, demo, report, rules, run, terminal
from gradscope.errors import GradscopeError


class Command(Protocol):
    """What a command module offers; its docstring is its help text, its file name its name."""

    __name__: str
    __doc__: str | None

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add its arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit status."""


COMMANDS: tuple[Command, ...] = (run, check, report, compare, rules, demo)

INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    statuses = (__doc__ or "").splitlines()[2:4]
    parser = argparse.ArgumentParser(
        prog="gradscope",
        description="Find out which of your models gets no gradient, and which line is to blame.",
        epilog="\n".join(statuses),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gradscope {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        text = command.__doc__ or ""
        child = commands.add_parser(
            command.__name__.rpartition(".")[2],
            help=text.splitlines()[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.configure(child)
        child.set_defaults(command=command.run, refuse=child.error)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    args, unknown = build_parser().parse_known_args(argv)
    if unknown:
        args.refuse(f"unrecognized arguments: {' '.join(unknown)}")  # with the usage of the command, not of them all
    try:
        status: int = args.command(args)
        if not hasattr(args, "target"):  # of a script that ran, python says what it makes of this
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output, such as `head`, has read enough
        terminal.silence(sys.stdout)
        return 0
    except GradscopeError as error:
        print(f"gradscope: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return status
