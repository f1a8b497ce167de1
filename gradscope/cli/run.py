"""Run an unmodified training script and report which model gets no gradient, and why.

The script sees its own arguments, `__main__`, output and exit status exactly as under plain python. The report goes
to the standard error at the end, also after an exception, Ctrl-C or sys.exit.

Exit status: the script's own (130 after Ctrl-C, 0 when --steps ended it); 2 if there is no such script.
"""

from __future__ import annotations

import sys
import traceback
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from gradscope.cli import options, ranks, terminal
from gradscope.cli.runner import run_script

if TYPE_CHECKING:
    from gradscope.cli.runner import Outcome


def configure(parser: ArgumentParser) -> None:
    options.add_outputs(parser)
    options.add_script(parser)


def run(args: Namespace) -> int:
    options.anchor_outputs(args)
    outcome = run_script(args, lambda outcome: _tell(outcome, args))
    if outcome.reports:
        _tell(outcome, args)
    ranks.ENDING.finish()
    return outcome.status


def _tell(outcome: Outcome, args: Namespace) -> None:
    """Write and print the report; a fault of ours must not change what the script's status says."""
    try:
        options.write_outputs(outcome.report, args)
        if not outcome.says_little and not args.quiet:
            terminal.print_report(outcome.report)
        if outcome.nothing:
            terminal.say(f"gradscope: {outcome.nothing}")
    except Exception:  # noqa: BLE001 - the script is over, and its status stays what it was
        traceback.print_exc(file=sys.__stderr__)
        terminal.say("gradscope: the report failed; the script's own run is not affected")
