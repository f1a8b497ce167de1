"""GS504 learning-rate: the learning rate is zero, or is driven to zero long before the end.

Bad:
    for batch in loader:
        optimizer.step()
        scheduler.step()        # meant once per epoch: after ten batches the rate is 1e-15
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from gradscope.diagnosis.causes import Cause
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, tally
from gradscope.records import Optimizer, Path, Run

CODE = ("GS504", "learning-rate")
STEPS = 3
"""Steps without a rate before it is told: a warm-up may begin at zero, a schedule may end there."""
LOST = 1e-8
"""A rate this far below its largest cannot move float32 weights (resolution 1.2e-7) any more."""
SHARE = 0.25
"""... for at least this share of the steps."""
NEVER = "is never updated"
_FROM_THE_START = Cause(
    "its scheduler has made the learning rate zero from the first step on",
    "begin above zero, and look for an integer division in what the scheduler multiplies with",
)


def check(run: Run) -> Iterable[Finding]:
    """One finding per line to blame and model, whatever the number of groups."""
    for optimizer in run.optimizers:
        events = [e for e in run.step_events if e.optimizer == optimizer.uid]
        if len(events) < STEPS:
            continue
        stuck: dict[tuple[str, str, Path], list[int]] = {}
        for number, group in enumerate(optimizer.groups):
            rates = [r for e in events if number < len(e.lrs) and (r := e.lrs[number]) is not None]
            cause, path = _why(optimizer, number, rates)
            if cause:
                says = "is not updated any more" if any(rates) else NEVER
                stuck.setdefault((cause, says, path), []).extend(group.parameters)
        for (cause, says, path), uids in stuck.items():
            for model, mine in by_model(run, [u for u in uids if tally(run, u).backwards]):
                yield finding(
                    CODE,
                    Severity.ERROR,
                    run,
                    model,
                    mine,
                    state="flowing",
                    cause=cause,
                    says=says,
                    path=path,
                    evidence=Evidence.OBSERVED,
                    also=optimizer.built[-1:],
                    words=_FROM_THE_START if cause == "zero_lr" and _is_by_scheduler(optimizer, path) else None,
                )


def _is_by_scheduler(optimizer: Optimizer, path: Path) -> bool:
    return optimizer.scheduled and path in (optimizer.scheduler_built, optimizer.scheduler_line)


def _why(optimizer: Optimizer, number: int, rates: list[float]) -> tuple[str, Path]:
    largest = max(rates, default=0.0)
    lost = sum(1 for _ in itertools.takewhile(lambda rate: rate <= largest * LOST, reversed(rates)))
    if not rates or not lost:  # a rate that is raised again, or only then, trains
        return "", ()
    added = optimizer.added[number] if number < len(optimizer.added) and optimizer.added[number] else optimizer.built
    if largest == 0.0 and optimizer.groups[number].initial_lr == 0.0:
        return "zero_lr", added  # from which no scheduler leads away
    if largest == 0.0:
        made = optimizer.scheduler_built or optimizer.scheduler_line or added  # its step() changes nothing
        return "zero_lr", made
    if lost >= STEPS and lost >= SHARE * len(rates):
        return "scheduler_to_zero", optimizer.scheduler_line or added
    return "", ()


RULE = Rule(*CODE, check, __doc__ or "")
