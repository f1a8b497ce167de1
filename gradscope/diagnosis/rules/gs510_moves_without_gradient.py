"""GS510 moves-without-gradient: a parameter gets no gradient and is changed by its optimizer nevertheless.

With zero_grad(set_to_none=False) its `.grad` is a tensor of zeros instead of None, so the optimizer does
not skip it: momentum goes on moving it and weight decay shrinks it.

Bad:
    optimizer.zero_grad(set_to_none=False)
    task_loss(heads[task](features)).backward()       # the other heads drift
    optimizer.step()
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, tally
from gradscope.records import Backward, Clear, OptimizerStep, Path, Run, Write
from gradscope.records.columns import receivers, zeros
from gradscope.records.once import once

CODE = ("GS510", "moves-without-gradient")
TIMES = 3
SHARE = 0.3
"""Of its optimizer's steps."""


@once
def moving(run: Run) -> dict[int, Path]:
    """Parameters that are changed without a gradient, and where their gradients were filled with zeros."""
    held = {optimizer.uid: frozenset(optimizer.parameters) for optimizer in run.optimizers}
    arrived: set[int] = set()
    drift: dict[int, int] = {}
    zeroed: dict[int, Path] = {}
    for event in run.events:
        if isinstance(event, Backward):
            arrived |= receivers(event.norms)
        elif isinstance(event, Clear) and not event.to_none:
            for uid in event.parameters:
                zeroed[uid] = event.path
            arrived -= event.parameters
        elif isinstance(event, Write) and event.by == "assigned":
            for uid in event.parameters:
                zeroed[uid] = event.path
        elif isinstance(event, OptimizerStep):
            for uid in zeros(event.norms) - arrived if event.ratios else ():
                if event.ratios.get(uid):
                    drift[uid] = drift.get(uid, 0) + 1
            arrived -= held[event.optimizer]
    cut = {uid for each in run.cuts for uid in each.parameters if not tally(run, uid).backwards}  # GS101 tells of these
    uids = [u for u, n in drift.items() if u not in cut and n >= TIMES and n >= SHARE * tally(run, u).steps]
    return {uid: zeroed.get(uid, ()) for uid in uids}


def check(run: Run) -> Iterable[Finding]:
    """One finding per model."""
    moved = moving(run)
    for model, mine in by_model(run, moved):
        path = moved[mine[0]]
        yield finding(
            CODE,
            Severity.WARNING,
            run,
            model,
            mine,
            state="intermittent",
            cause="zero_filled_grad_still_updated",
            says="is changed without a gradient",
            path=path,
        )


RULE = Rule(*CODE, check, __doc__ or "")
