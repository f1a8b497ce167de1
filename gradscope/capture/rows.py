"""Backward passes that wait to be counted: which of them can be counted together, whatever came between them."""

from __future__ import annotations

import itertools
import math

from gradscope.records.columns import Cohort, Column
from gradscope.tallies import ZERO

Row = tuple[int, int, Column]
"""A backward pass, the step, and the norms."""


def together(rows: list[Row]) -> list[list[Row]]:
    """The passes of each cohort, in the order in which they are to be counted.

    Passes of a GAN reach two cohorts in turn. Where all norms are ordinary, only which one came last has to be kept;
    where some are zero, NaN or missing, streaks are counted, and then only neighbours go together.
    """
    if not all(_is_ordinary(norms) for *_, norms in rows):
        return [list(group) for _, group in itertools.groupby(rows, key=lambda row: row[2].cohort)]
    groups: dict[Cohort, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[2].cohort, []).append(row)
    return sorted(groups.values(), key=_last_measured)


def _last_measured(rows: list[Row]) -> int:
    return max((backward for backward, _, norms in rows if norms.row), default=-1)


def _is_ordinary(norms: Column) -> bool:
    """Whether all norms are there, finite and not zero, or none was measured."""
    if norms.row:
        return min(norms.row) >= ZERO and math.isfinite(sum(norms.row))
    return not norms.is_measured
