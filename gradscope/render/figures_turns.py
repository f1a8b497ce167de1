"""Losses that take turns: a pass of another line is no absence of a gradient.

In a GAN each `backward()` line reaches other models. What a line never reaches is not looked for in its passes: a row
of the heat map has columns as wide as it takes until one of its own lines runs again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradscope.records import Passes
from gradscope.render.figures_cells import ABSENT, ELSEWHERE, Matrix
from gradscope.render.figures_kept import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradscope.records import Backward, Location, Run

FEWEST = 4
"""So many columns a row has at least."""

Lines = frozenset["Location | None"]


def lines_of(run: Run, uids: Sequence[int]) -> dict[Lines, list[int]]:
    """Places of parameters, by the lines that ever reached them; all by no line where lines are not known whole."""
    lines = _lines(run)
    if sum(line.count for line in lines) != run.backwards:
        return {frozenset(): list(range(len(uids)))}
    groups: dict[Lines, list[int]] = {}
    for place, uid in enumerate(uids):
        groups.setdefault(frozenset(line.location for line in lines if uid in line.reached), []).append(place)
    return groups


def turn_of(run: Run, lines: Lines) -> int:
    """After how many passes one of these lines, the most frequent, usually runs again; 1 if there are no others."""
    own = [line.count for line in _lines(run) if line.location in lines]
    turn = -(-run.backwards // max(own)) if 0 < sum(own) < run.backwards else 1
    return turn if turn * FEWEST <= run.backwards else 1


def mark_others(norms: Matrix, events: Iterable[Backward], kept: Kept, lines: Lines) -> None:
    """Tell absence in columns of which it is known that all passes were of other lines."""
    if not lines:
        return
    columns = norms.shape[1]
    others = [event.index // kept.narrow for event in events if event.location not in lines]
    passes = np.minimum(kept.narrow, kept.total - kept.narrow * np.arange(columns))
    elsewhere = np.bincount(np.array(others, int), minlength=columns) >= passes
    norms[(norms == ABSENT) & elsewhere] = ELSEWHERE


def _lines(run: Run) -> Sequence[Passes]:
    """As they were counted, else as they were kept."""
    if run.lines:
        return run.lines
    found: dict[Location | None, list[Backward]] = {}
    for event in run.passes:
        found.setdefault(event.location, []).append(event)
    return [Passes(at, len(all_), frozenset(uid for e in all_ for uid in e.norms)) for at, all_ in found.items()]
