"""GS506 stale-gradient: an optimizer applies gradients that belong to an earlier step or to another loss.

Gradients add up until they are cleared. If they are not cleared between two steps, the second applies the
first one's again; if another loss's backward() passed through the model in between, its gradient is
applied too. Accumulation on purpose (several backward passes, one step, one zero_grad) is fine, also where another
optimizer applies each pass of the same loss at once.

Bad:
    optimizer.zero_grad()
    for batch in batches:
        loss(batch).backward()
        optimizer.step()
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradscope.diagnosis.alike import alike
from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_idle
from gradscope.diagnosis.rules.gs502_in_two_optimizers import stepped_twice
from gradscope.diagnosis.rules.gs507_lost_before_step import zeroed
from gradscope.records import Backward, Clear, OptimizerStep, Path, Run

CODE = ("GS506", "stale-gradient")
TIMES = 2
SHARE = 0.5
"""Of the optimizer's steps; a single leftover at the beginning or the end of a phase is harmless."""


@dataclass
class Pending:
    """What has been added to one parameter's gradient since it was last cleared."""

    last: Backward
    first: int
    """Clock of the first of them."""
    applied: bool = False
    """An optimizer that holds it has stepped since the first of them."""
    foreign: Backward | None = None
    """A pass after which another optimizer stepped: it was meant for that one."""
    stepped: int = -1
    """That optimizer."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per optimizer and model."""
    again, polluted, clears = _followed(run)
    told = {*stepped_twice(run), *zeroed(run)}  # a second step finds what the first has applied; zeros are none
    for optimizer in run.optimizers:
        for found, says in (
            (again, "is stepped with gradients of earlier steps"),
            (polluted, "is stepped with the gradient of another loss"),
        ):
            paths = found.get(optimizer.uid, {})
            uids = [u for u in paths if u not in told and not is_idle(run, run.parameters[u])]
            for model, mine in by_model(run, uids):
                also = paths[mine[0]]
                yield finding(
                    CODE,
                    Severity.WARNING,
                    run,
                    model,
                    mine,
                    state="flowing",
                    cause="missing_zero_grad",
                    says=says,
                    path=next((clears[u] for u in mine if u in clears), also),
                    also=also[-1:],
                )


PathsOf = dict[int, dict[int, Path]]
"""Per optimizer and parameter."""


def _followed(run: Run) -> tuple[PathsOf, PathsOf, dict[int, Path]]:
    """What is often stepped with gradients of its own earlier steps, what with another loss's, and who clears when."""
    pending: dict[int, Pending] = {}
    again: PathsOf = {}
    polluted: PathsOf = {}
    counts: dict[tuple[int, int], int] = {}
    total: dict[int, int] = {}
    clears: dict[int, Path] = {}
    same = alike(run)
    for event in same.events:
        if isinstance(event, Backward):
            for uid in event.norms:
                if uid in event.added and uid in pending:
                    pending[uid].last = event
                else:
                    pending[uid] = Pending(event, event.clock)
        elif isinstance(event, OptimizerStep):
            total[event.optimizer] = total.get(event.optimizer, 0) + 1
            for uid in _stale(same.held[event.optimizer], event, pending, total, again, polluted):
                counts[event.optimizer, uid] = counts.get((event.optimizer, uid), 0) + 1
        elif isinstance(event, Clear) or event.by == "assigned":
            for uid in event.parameters:
                pending.pop(uid, None)
                if isinstance(event, Clear) and event.path:
                    clears[uid] = event.path
    for found in (again, polluted):
        for optimizer, paths in found.items():
            often = {u: p for u, p in paths.items() if _often(counts[optimizer, u], total[optimizer])}
            found[optimizer] = same.all(often)
    return again, polluted, same.all(clears)


def _often(times: int, of: int) -> bool:
    return times >= TIMES and times >= SHARE * max(of - 1, 1)


def _stale(
    held: frozenset[int],
    event: OptimizerStep,
    pending: dict[int, Pending],
    total: dict[int, int],
    again: PathsOf,
    polluted: PathsOf,
) -> list[int]:
    stale = []
    for uid in event.norms:
        state = pending.get(uid)
        if state is None:
            continue
        if state.applied and state.last.norms:
            again.setdefault(event.optimizer, {})[uid] = state.last.path
            stale.append(uid)
        elif state.foreign is not None and state.last is not state.foreign and not _accumulates(state, event, total):
            polluted.setdefault(event.optimizer, {})[uid] = state.foreign.path
            stale.append(uid)
        state.applied = True
        state.foreign = None
    for uid, state in pending.items():
        if uid not in held and not state.applied and state.foreign is None and _meant_for(held, state.last, pending):
            state.foreign, state.stepped = state.last, event.optimizer
    return stale


def _accumulates(state: Pending, event: OptimizerStep, total: dict[int, int]) -> bool:
    """Whether the passes are those of one loss, which an optimizer that steps more often applies one by one."""
    assert state.foreign is not None
    return state.foreign.path == state.last.path and total[state.stepped] > total[event.optimizer]


def _meant_for(held: frozenset[int], of: Backward, pending: dict[int, Pending]) -> bool:
    """Whether a step applied some of what this pass delivered. What was cleared before it was of no use to it."""
    return any(uid in pending and pending[uid].first <= of.clock for uid in held & of.norms.keys())


RULE = Rule(*CODE, check, __doc__ or "")
