"""Compare two run files: which models, gradients and findings changed, and since which step; needs no torch.

Exit status: 0, or 2 if a file cannot be read as a run. With --exit-code 1 if anything changed.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradscope.compare import Comparison, ModelChange
    from gradscope.diagnosis.finding import Finding, State

SHOWN = 4
"""Parameters named per model; the JSON has all."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", help="run file of the first run")
    parser.add_argument("after", metavar="B", help="run file of the second run")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if anything changed")
    parser.add_argument("--tolerance", type=float, default=None, metavar="R", help="relative drift to ignore (0.01)")


def run(args: Namespace) -> int:
    from gradscope.compare import TOLERANCE, compare
    from gradscope.runfile import read_run

    tolerance = TOLERANCE if args.tolerance is None else args.tolerance
    result = compare(read_run(args.before), read_run(args.after), tolerance=tolerance)
    if args.json:
        print(json.dumps({"same": result.same, **asdict(result)}, indent=2))
    else:
        print("\n".join(_lines(result, args.before, args.after)))
    return int(args.exit_code and not result.same)


def _lines(result: Comparison, before: str, after: str) -> Iterator[str]:
    yield f"A  {before}  {result.steps[0]} steps"
    yield f"B  {after}  {result.steps[1]} steps"
    yield ""
    rows = [("model", "A", "B", "norm A", "norm B", "changed"), *map(_row, result.models)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for title, findings in (("new in B", result.new), ("gone in B", result.gone), ("in both", result.common)):
        yield from ("", f"{title}:", *map(_finding, findings)) if findings else ()
    if result.same:
        yield ""
        yield "nothing changed"


def _row(change: ModelChange) -> tuple[str, ...]:
    states = [_state(change.before, change.flowing_before), _state(change.after, change.flowing_after)]
    norms = ["-" if norm is None else f"{norm:.3g}" for norm in (change.norm_before, change.norm_after)]
    return change.model, *states, *norms, _since(change)


def _state(state: State | None, flowing: tuple[int, int]) -> str:
    """In the words of the report, with how much of a model flows where that is a part."""
    from gradscope.render.table import state_words
    from gradscope.render.words import ABSENT

    if state is None:
        return ABSENT
    words = state_words(state, *flowing)
    return f"{words} {flowing[0]}/{flowing[1]}" if 0 < flowing[0] < flowing[1] else words


def _since(change: ModelChange) -> str:
    if change.before is None or change.after is None:
        return f"only in {'B' if change.before is None else 'A'}"
    if change.differs_since is not None:
        names = list(change.parameters[:SHOWN])
        if len(change.parameters) > SHOWN:
            names.append(f"{len(change.parameters) - SHOWN} more")
        return f"since step {change.differs_since}: {', '.join(names)}"
    if change.drifts_since is not None:
        return f"size only, since step {change.drifts_since}"
    return "no" if change.same else "state only"


def _finding(finding: Finding) -> str:
    where = f"  {finding.location}" if finding.location else ""
    return f"  {finding.severity.value}  {finding.code} {finding.name}  {finding.model}{where}"
