"""The flow matrix in words, the same in every output: what its numbers are, and what its lines are called."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gradscope.render.words import brief, is_split, known_words, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradscope.report import FlowRow, Report

UNPLACED = "(line not known)"


def flow_words(report: Report) -> str:
    """What the numbers of the flow matrix are."""
    known = known_words(report.run)
    part = "; of split parameters that of the part which this rank holds" if is_split(report) else ""
    of = f"; {known}" if known else ""
    few = min((times for row in report.flow for times in row.times.values()), default=0)
    some = f"; x{few}: in {few} of the passes only" if few else ""
    return f"median gradient norm that each backward line left in each model{of}{part}{some}"


def flow_number(row: FlowRow, model: str) -> str:
    """The number of a cell, and of how many passes it is where not all left one, or not all left NaN or Inf."""
    times = f" x{row.times[model]}" if model in row.times else ""
    return number(row.models.get(model)) + times


def flow_lines(rows: Sequence[FlowRow]) -> list[str]:
    """A name for each line, with the call itself where several are on one line."""
    places = [brief(row.location) if row.location else UNPLACED for row in rows]
    several = Counter(places)
    return [
        f"{place} {row.location.text}" if row.location and several[place] > 1 else place
        for place, row in zip(places, rows, strict=True)
    ]
