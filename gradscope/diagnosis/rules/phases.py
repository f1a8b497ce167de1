"""What was frozen for one phase of training, and handed as a group of its own to the optimizer of a later one."""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.finding import Severity
from gradscope.diagnosis.rules.common import is_frozen, tally
from gradscope.records import Optimizer, Run

STEPS = 3
"""Steps of the later phase before it is told."""


def given_later(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    """Still frozen in that phase, although it was meant to train there: it had trained, or is all that is new there."""
    for optimizer in run.optimizers:
        if optimizer.steps < STEPS or len(optimizer.groups) < 2:
            continue
        stuck = {u for u in optimizer.frozen & set(optimizer.parameters) if is_frozen(run.parameters[u])}
        meant = stuck if _adds_only(run, optimizer, stuck) else {u for u in stuck if tally(run, u).backwards}
        uids = [u for group in optimizer.groups if meant.issuperset(group.parameters) for u in group.parameters]
        if uids and not stuck.issuperset(optimizer.parameters):
            yield uids, Severity.WARNING, "is still frozen in the phase whose optimizer was given it as a group"


def _adds_only(run: Run, optimizer: Optimizer, stuck: set[int]) -> bool:
    """Whether the optimizer of an earlier phase held all that this one does, except for what is frozen."""
    rest = set(optimizer.parameters) - stuck
    steps = {o.uid: [e.clock for e in run.step_events if e.optimizer == o.uid] for o in run.optimizers}
    first = min(steps[optimizer.uid], default=0)
    former = [o for o in run.optimizers if o.uid != optimizer.uid and steps[o.uid] and max(steps[o.uid]) < first]
    return any(rest <= set(o.parameters) and stuck.isdisjoint(o.parameters) for o in former)
