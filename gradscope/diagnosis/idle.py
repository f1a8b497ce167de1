"""Parameters that got gradients and get none any more, whatever stands in their `.grad` meanwhile."""

from __future__ import annotations

from gradscope.records import Backward, Clear, OptimizerStep, Run, Tally
from gradscope.records.barren import barren
from gradscope.records.once import once

LAST, SHARE = 5, 0.5
"""Steps without a gradient at the end of a run, and their share of all, from which a gradient has stopped."""
SUDDEN = 0.1
"""... and their share if there was one at each step before."""


@once
def stopped(run: Run) -> dict[int, int]:
    """Per parameter whose gradient has stopped: at how many steps of its optimizers since the last one."""
    since = {uid: t.none_streak for uid, t in run.tallies.items() if t.steps_none < t.steps} | _zeros(run)
    over = {uid: n for uid, n in since.items() if n >= max(LAST, _share(run.tallies[uid]) * run.tallies[uid].steps)}
    return over | kept_frozen(run) | dict.fromkeys(graphless(run), 1)


def _share(tally: Tally) -> float:
    return SUDDEN if tally.none_streak == tally.steps_none > 0 else SHARE


@once
def graphless(run: Run) -> frozenset[int]:
    """Parameters whose last loss had no graph, where the line that cut it was seen."""
    cut = frozenset().union(*(cut.parameters for cut in run.cuts))
    return cut & barren(run) if cut else cut


def all_over(run: Run) -> bool:
    """Whether nothing that the optimizers hold gets a gradient any more, or the last loss had no graph."""
    held = {u for o in run.optimizers for u in o.parameters if (t := run.tallies.get(u)) is not None and t.backwards}
    return bool(graphless(run)) or (bool(held) and held <= stopped(run).keys())


@once
def kept_frozen(run: Run) -> dict[int, int]:
    """Frozen in turn after turn, with optimizers that do not step any more: at how many passes since its last one."""
    found = {}
    for uid, parameter in run.parameters.items():
        count = run.tallies.get(uid)
        if count is None or count.last_backward is None or not count.steps or count.none_streak:
            continue
        again = parameter.freezes >= LAST and parameter.thaws + 1 < parameter.freezes
        since = run.backwards - 1 - count.last_backward
        if again and not parameter.trainable and parameter.frozen_at and since >= max(LAST, SHARE * run.backwards):
            found[uid] = since
    return found


def _zeros(run: Run) -> dict[int, int]:
    """Steps that found zeros left by zero_grad(set_to_none=False), with no pass since that reached the parameter."""
    last = {
        uid: t.last_backward
        for uid, t in run.tallies.items()
        if t.last_backward is not None and t.last_backward < run.backwards - LAST and t.steps > t.none_streak
    }
    zeros: dict[int, int] = {}
    cleared: set[int] = set()
    index = -1
    for event in run.events if last else ():
        if isinstance(event, Backward):
            index = event.index
            cleared.difference_update(event.norms)
        elif isinstance(event, Clear):
            cleared |= event.parameters
        elif isinstance(event, OptimizerStep):
            for uid in last.keys() & event.norms.keys():
                norm = event.norms[uid]
                if norm:
                    zeros.pop(uid, None)
                elif index > last[uid] and (norm == 0.0 or uid in cleared):
                    zeros[uid] = zeros.get(uid, 0) + 1
    return zeros
