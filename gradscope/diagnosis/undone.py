"""Updates that are undone: what a step changed is put back before the next one.

* A write that brings one and the same value back again and again, at whatever steps, undoes what came between.
* Where after each step next to nothing of its update is left, it is undone whatever the values are: old ones, or a
  mixture with those of another network, of which the new ones are a thousandth.
* Values that are clamped or scaled may rest on their bound; that is what the user wants.
* One update that is kept is enough: the others may be trials, or another optimizer's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from gradscope.records import OptimizerStep, Path, Run, Write
from gradscope.tallies import KEPT

TIMES = 2
"""Updates that have to be seen undone where the line was seen that did it, ..."""
UNTRACED = 8
"""... and where it was not: the first steps alone may be a trial, or warm-up."""


@dataclass(slots=True, eq=False)
class _Seen:
    """What became of the updates of one parameter."""

    path: Path = ()
    """The line that wrote to it last."""
    written: bool = False
    """Since its last step."""
    moved: bool = False
    returned: list[float] = field(default_factory=list)
    """Norms of what writes left."""
    weights: set[float] = field(default_factory=set)
    """Norms at all steps; of many, two."""
    times: int = 0
    """Updates that were undone, by a line that was seen ..."""
    unseen: int = 0
    """... and by one that was not."""
    partly: bool = False
    """A little was left of one of them."""
    kept: bool = False
    """More than that was left of some update."""
    bound: bool = False
    """It may have rested on a bound."""
    streak: int = 0
    """Steps in a row whose updates were kept, ..."""
    longest: int = 0
    """... and the most of them before a write."""
    ever: bool = False
    """Some update was kept before the last write."""


def undone(run: Run) -> dict[int, Path]:
    """Parameters whose updates are undone, and the line that does it; none where it was not seen."""
    seen: defaultdict[int, _Seen] = defaultdict(_Seen)
    for event in run.events:
        if isinstance(event, Write) and event.what == "value" and event.by != "projected":
            for uid in event.parameters:
                state = seen[uid]
                state.written, state.path = True, event.path
                state.longest, state.streak, state.ever = max(state.longest, state.streak), 0, state.kept
        elif isinstance(event, OptimizerStep):
            _look(seen, event)
            _step(seen, event)
    return {u: s.path for u, s in seen.items() if _returns(s) or _is_undone(s)}


def _look(seen: defaultdict[int, _Seen], event: OptimizerStep) -> None:
    """What was left of the updates of the step before."""
    for uid, share in event.kept.items():
        state = seen[uid]
        if share > KEPT:
            state.kept = True
            state.streak += uid in event.ratios  # of the others only samples are there
        elif state.written:
            state.times += 1
            state.partly = state.partly or share > 0.0
        elif not share:
            state.unseen += 1
            state.bound = state.bound or uid in event.bound


def _step(seen: defaultdict[int, _Seen], event: OptimizerStep) -> None:
    for uid, weight in event.weights.items():
        state = seen[uid]
        if len(state.weights) < 2:
            state.weights.add(weight)
        if state.written and state.moved:
            state.returned.append(weight)
            state.moved = False
        state.written = False
        state.moved = state.moved or bool(event.ratios.get(uid))


def _returns(state: _Seen) -> bool:
    """Whether writes bring one value back, and still do; where each step is undone, the value stays the same."""
    over = state.streak > 2 * (state.longest + 1) or (state.kept and not state.ever)
    moves = not state.kept and len(state.weights) > 1
    return len(state.returned) >= TIMES and len(set(state.returned)) == 1 and not over and not moves


def _is_undone(state: _Seen) -> bool:
    """Whether nothing is left of any update, and the value stays the same; or a little is, of each."""
    often = state.times >= TIMES or state.times + state.unseen >= UNTRACED
    return often and not state.kept and not state.bound and (state.partly or len(state.weights) == 1)
