"""When a gradient came and when none did: counted at every pass, also where no norm was measured or kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from gradscope.render.figures_kept import LONG, Span

if TYPE_CHECKING:
    from gradscope.records import Run, Tally

FEW = 5
"""Passes without a gradient that are no silence yet."""
SHORT = 0.01
"""Share of a run that is too short to be seen in a picture of all of it."""

Flags = np.ndarray[Any, np.dtype[np.bool_]]


def silences(run: Run, uids: Iterable[int]) -> list[Span]:
    """Stretches of passes that reached none of these, though some did: far longer than usual between two that do."""
    members = set(uids)
    counted = _counted(run, members)
    if not counted:
        return []
    first, last = _ends(counted)
    inside = [(max(start, first), min(end, last)) for start, end in _empty(run, members)]
    spans = [(0, first), *inside, (last + 1, _passes(run))]
    return [(start, end) for start, end in spans if end - start >= _least(run, counted)]


def over(run: Run, uids: Iterable[int]) -> int | None:
    """The pass from which on none of these got a gradient any more, if that is so long that it is told."""
    counted = _counted(run, uids)
    since = _ends(counted)[1] + 1 if counted else _passes(run)
    return since if counted and _passes(run) - since >= _least(run, counted) else None


def silent_cells(run: Run, uids: Sequence[int], width: int, columns: int) -> Flags:
    """Per parameter, and per column of so many passes: whether none of these passes reached it."""
    answer = np.zeros((len(uids), columns), bool)
    arrivals, starts = run.arrivals, np.arange(columns) * width
    if arrivals.passes:
        stretches = -(-arrivals.passes // arrivals.width)
        counts = np.array([*arrivals.counts, (0,) * stretches])
        before = np.concatenate([np.zeros((len(counts), 1), int), counts.cumsum(axis=1)], axis=1)
        ends = np.minimum(starts + width, run.backwards)
        low, high = (np.minimum(at, stretches) for at in (starts // arrivals.width, -(-ends // arrivals.width)))
        none = (before[:, high] == before[:, low]) & (ends <= arrivals.passes)
        answer = none[[arrivals.rows.get(uid, -1) for uid in uids]]
    for row, uid in enumerate(uids):
        tally = run.tallies.get(uid)
        if tally is not None and tally.first_backward is not None and tally.last_backward is not None:
            answer[row] |= (starts > tally.last_backward) | (starts + width <= tally.first_backward)
    return answer


def _empty(run: Run, uids: set[int]) -> list[Span]:
    """Runs of stretches in which no pass reached any of these."""
    arrivals = run.arrivals
    rows = {arrivals.rows[uid] for uid in uids if uid in arrivals.rows}
    if not rows:
        return []
    reached = map(any, zip(*(arrivals.counts[row] for row in rows), strict=True))
    spans, place = [], 0
    for there, group in groupby(reached):
        length = len(list(group))
        if not there:
            spans.append((place * arrivals.width, min((place + length) * arrivals.width, arrivals.passes)))
        place += length
    return spans


def _passes(run: Run) -> int:
    return run.arrivals.passes or run.backwards


def _counted(run: Run, uids: Iterable[int]) -> list[Tally]:
    """The tallies of those that a pass is known to have reached."""
    return [t for uid in uids if (t := run.tallies.get(uid)) is not None and t.last_backward is not None]


def _ends(tallies: Sequence[Tally]) -> Span:
    """The first and the last pass that reached any."""
    return min(t.first_backward or 0 for t in tallies), max(t.last_backward or 0 for t in tallies)


def _least(run: Run, tallies: Sequence[Tally]) -> float:
    """How many passes without a gradient are a silence, by how many are usual between two that reach one of these."""
    lives = ((t.last_backward or 0) - (t.first_backward or 0) + 1 for t in tallies)
    usual = min(life / max(t.backwards, 1) for life, t in zip(lives, tallies, strict=True))
    return max(FEW, LONG * usual, SHORT * _passes(run))
