"""GS502 in-two-optimizers: two optimizers step the same parameter with the same gradient.

The parameter moves twice per gradient, with two sets of momenta. Two optimizers that take turns, each with
gradients of its own, are fine and not told.

Bad:
    opt1 = Adam([*encoder.parameters(), *head1.parameters()])
    opt2 = Adam([*encoder.parameters(), *head2.parameters()])
    (loss1 + loss2).backward(); opt1.step(); opt2.step()
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.alike import alike
from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding
from gradscope.records import Backward, Clear, OptimizerStep, Run
from gradscope.records.once import once

CODE = ("GS502", "in-two-optimizers")
TIMES = 2
"""How often it must happen: once can be a hand-over from one phase to the next."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per pair of optimizers and model."""
    for (first, second), uids in _pairs(run).items():
        for model, mine in by_model(run, uids):
            other = run.optimizers[first].built
            yield finding(
                CODE,
                Severity.WARNING,
                run,
                model,
                mine,
                state="flowing",
                cause="in_two_optimizers",
                says="is stepped twice with one gradient",
                path=run.optimizers[second].built,
                also=other[-1:],
            )


def stepped_twice(run: Run) -> set[int]:
    """Parameters that two optimizers step with the same gradient."""
    return {uid for uids in _pairs(run).values() for uid in uids}


@once
def _pairs(run: Run) -> dict[tuple[int, int], list[int]]:
    """Per pair of optimizers, what both step with one gradient."""
    stepped: dict[int, int] = {}
    times: dict[tuple[int, int], dict[int, int]] = {}
    for event in alike(run).events:
        if isinstance(event, Backward):
            for uid in event.norms:
                stepped.pop(uid, None)
        elif isinstance(event, Clear):
            for uid in event.parameters:
                stepped.pop(uid, None)
        elif isinstance(event, OptimizerStep):
            for uid in event.norms:
                before = stepped.get(uid, event.optimizer)
                if before != event.optimizer:
                    pair = (min(before, event.optimizer), max(before, event.optimizer))
                    counts = times.setdefault(pair, {})
                    counts[uid] = counts.get(uid, 0) + 1
                stepped[uid] = event.optimizer
    return {p: [u for u, n in alike(run).all(counts).items() if n >= TIMES] for p, counts in times.items()}


RULE = Rule(*CODE, check, __doc__ or "")
