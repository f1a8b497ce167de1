"""Which parameters were reached when: counted per stretch of passes, so that no pass has to be kept for it.

* A pass like others costs an addition, however many parameters it reaches: the parameters that it reaches are one
  cohort, and cohorts are told apart only when a stretch is over or several have gathered.
* Memory is bounded: when there are too many stretches, two become one.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import zip_longest

from gradscope.records import Arrivals
from gradscope.records.columns import Cohort

MOST, FEWEST = 512, 32
"""Stretches of a run, at most; of very many parameters that come and go one by one fewer, but not fewer than these."""
NUMBERS = 500_000
"""Numbers in all stretches: 4 MB."""
GATHERED = 16
"""Different cohorts that wait to be told apart."""


class Spread:
    """Arrivals while they grow, one pass after the other."""

    def __init__(self, before: Arrivals | None = None) -> None:
        before = before or Arrivals()
        self.passes, self.width, self.measured = before.passes, before.width, before.measured
        self._rows = dict(before.rows)
        self._counts = [array("q", row) for row in before.counts]
        self._sizes = Counter(self._rows.values())
        """Per row, its parameters."""
        self._open: dict[Cohort, int] = {}
        """Passes of this stretch that are not in the rows yet."""
        self._known: dict[Cohort, list[int]] = {}

    def add(self, cohort: Cohort, *, measured: bool) -> None:
        """A pass reached these parameters."""
        if self._open and (not self.passes % self.width or len(self._open) >= GATHERED):
            self._settle()
        self._open[cohort] = self._open.get(cohort, 0) + 1
        self.passes += 1
        self.measured += measured

    def freeze(self) -> Arrivals:
        """What was counted so far."""
        self._settle()
        stretches = -(-self.passes // self.width)
        counts = tuple((*row, *(0,) * (stretches - len(row))) for row in self._counts)
        return Arrivals(self.passes, self.width, dict(self._rows), counts, self.measured)

    def _settle(self) -> None:
        """Write the waiting passes into the rows of their parameters; they all belong to the newest stretch."""
        stretch = (self.passes - 1) // self.width
        for cohort, times in self._open.items():
            for row in self._rows_of(cohort):
                counts = self._counts[row]
                counts.extend([0] * (stretch + 1 - len(counts)))
                counts[stretch] += times
        self._open.clear()
        most = min(MOST, max(FEWEST, NUMBERS // max(len(self._counts), 1)))
        while not self.passes % self.width and self.passes // self.width >= most:
            self._counts = [array("q", map(sum, zip_longest(r[::2], r[1::2], fillvalue=0))) for r in self._counts]
            self.width *= 2

    def _rows_of(self, cohort: Cohort) -> list[int]:
        rows = self._known.get(cohort)
        if rows is None:
            if len(self._known) >= GATHERED:
                self._known.clear()
            hit = Counter(map(self._rows.get, cohort.uids))
            whole = all(row is not None and times == self._sizes[row] for row, times in hit.items())
            rows = self._known[cohort] = [row for row in hit if row is not None] if whole else self._split(cohort)
        return rows

    def _split(self, cohort: Cohort) -> list[int]:
        """Give those of a row that came without the others a row of their own, with the same past."""
        self._known.clear()
        found: dict[int | None, list[int]] = {}
        for uid in cohort.uids:
            found.setdefault(self._rows.get(uid), []).append(uid)
        rows = []
        for row, uids in found.items():
            if row is not None and len(uids) == self._sizes[row]:
                rows.append(row)
                continue
            fresh = len(self._counts)
            self._counts.append(array("q", self._counts[row] if row is not None else ()))
            self._sizes[fresh] = len(uids)
            if row is not None:
                self._sizes[row] -= len(uids)
            self._rows.update(dict.fromkeys(uids, fresh))
            rows.append(fresh)
        return rows


def is_sound(arrivals: Arrivals) -> bool:
    """Whether this can have been counted so: a file may hold anything."""
    passes, width, counts = arrivals.passes, arrivals.width, arrivals.counts
    if width < 1 or not 0 <= arrivals.measured <= passes <= MOST * width:
        return False
    stretches = -(-passes // width)
    rows_fit = all(0 <= row < len(counts) for row in arrivals.rows.values())
    return rows_fit and all(len(row) == stretches and all(0 <= n <= width for n in row) for row in counts)
