"""IPython and Jupyter: `%load_ext gradscope`, then `%%gradscope` over a cell that trains.

The cell runs as it is; its models are found by themselves, and the report follows its output.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from gradscope.errors import GradscopeError

if TYPE_CHECKING:
    from gradscope.report import Report


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext gradscope` calls."""

    def gradscope(line: str, cell: str) -> Report | None:
        return run_cell(shell, line, cell)

    gradscope.__doc__ = _parser().format_help()
    shell.register_magic_function(gradscope, magic_kind="cell")


def run_cell(shell: Any, line: str, cell: str) -> Report | None:
    """Run the cell with a session open; the report is the value of the cell, or stored where `--to NAME` says."""
    from gradscope.session import Session

    args = _parser().parse_args(line.split())
    with Session(discover=True, to=args.out) as session:
        outcome = shell.run_cell(cell)
        session.read_namespace(shell.user_ns)
    report = session.report()
    if args.to is not None:
        shell.user_ns[args.to] = report
    # After an error the cell has printed its traceback; a picture below would hide it, the text does not.
    return report if outcome.success or report.findings else None


class _Parser(ArgumentParser):
    def error(self, message: str) -> Any:
        raise GradscopeError(f"%%gradscope: {message}")


def _parser() -> ArgumentParser:
    parser = _Parser(prog="%%gradscope", description="Watch the training in this cell and report.", add_help=False)
    parser.add_argument("--to", metavar="NAME", help="store the report in this variable")
    parser.add_argument("--out", metavar="RUNFILE", help="keep the facts for `gradscope report`")
    return parser
