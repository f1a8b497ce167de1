"""Calls in a thread that nobody traced: where they were made, and whether gradients were off there.

torch keeps the grad mode per thread: a pool whose threads switch gradients off trains nothing that runs in it.
"""

from __future__ import annotations

from collections.abc import Collection

from gradscope.capture.module_calls import ModuleCalls
from gradscope.capture.source import resolve
from gradscope.records import ELSEWHERE, Cut


def elsewhere(calls: ModuleCalls, uids: Collection[int]) -> tuple[Cut, ...]:
    """Per module of these parameters that another thread ran: a cut at its call; of unknown cause if gradients are on.

    Ask `calls.elsewhere()` before: it looks for the parameters that an optimizer has named since.
    """
    left, cuts = set(uids), []
    for inside, away in calls.calls_elsewhere():
        mine = left.intersection(inside)
        if mine and away.stack.frames:
            left -= mine
            path = resolve(away.stack)
            cuts.append(Cut(away.off or "unknown", frozenset(mine), path, ELSEWHERE, 0, evidence="inferred"))
    return tuple(cuts)
