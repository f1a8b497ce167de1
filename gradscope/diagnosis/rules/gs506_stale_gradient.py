"""GS506 stale-gradient: an optimizer applies gradients that belong to an earlier step or to another loss.

Gradients add up until they are cleared. If they are not cleared between two steps, the second applies the
first one's again; if another loss's backward() passed through the model in between, its gradient is
applied too. Accumulation on purpose (several backward passes, one step, one zero_grad) is fine.

Bad:
    optimizer.zero_grad()
    for batch in batches:
        loss(batch).backward()
        optimizer.step()
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_idle
from gradscope.diagnosis.rules.gs502_in_two_optimizers import stepped_twice
from gradscope.records import Backward, Clear, OptimizerStep, Path, Run, Write

CODE = ("GS506", "stale-gradient")
TIMES = 2
SHARE = 0.5
"""Of the optimizer's steps; a single leftover at the beginning or the end of a phase is harmless."""


@dataclass
class Pending:
    """What has been added to one parameter's gradient since it was last cleared."""

    passes: list[Backward] = field(default_factory=list)
    applied: bool = False
    """An optimizer that holds it has stepped since the first of them."""
    foreign: Backward | None = None
    """A pass after which another optimizer stepped: it was meant for that one."""


def check(run: Run) -> Iterable[Finding]:  # noqa: C901 - one pass over four kinds of event
    """One finding per optimizer and model."""
    pending: dict[int, Pending] = {}
    again: dict[int, dict[int, Path]] = {}
    polluted: dict[int, dict[int, Path]] = {}
    counts: dict[tuple[int, int], int] = {}
    total: dict[int, int] = {}
    clears: dict[int, Path] = {}
    for event in run.events:
        if isinstance(event, Backward):
            for uid in event.norms:
                if uid not in event.added:
                    pending.pop(uid, None)
                pending.setdefault(uid, Pending()).passes.append(event)
        elif isinstance(event, Clear):
            for uid in event.parameters:
                pending.pop(uid, None)
                if event.path:
                    clears[uid] = event.path
        elif isinstance(event, Write) and event.by == "assigned":
            for uid in event.parameters:
                pending.pop(uid, None)
        elif isinstance(event, OptimizerStep):
            total[event.optimizer] = total.get(event.optimizer, 0) + 1
            for uid in _stale(run, event, pending, again, polluted):
                counts[event.optimizer, uid] = counts.get((event.optimizer, uid), 0) + 1
    twice = stepped_twice(run)  # its second step finds what the first has applied: that is told there
    for optimizer in run.optimizers:
        for found, says in (
            (again, "is stepped with gradients of earlier steps"),
            (polluted, "is stepped with the gradient of another loss"),
        ):
            paths = found.get(optimizer.uid, {})
            uids = [u for u in paths if _often(counts.get((optimizer.uid, u), 0), total.get(optimizer.uid, 0))]
            uids = [u for u in uids if u not in twice and not is_idle(run, run.parameters[u])]
            for model, mine in by_model(run, uids):
                path = next((clears[u] for u in mine if u in clears), paths[mine[0]])
                yield finding(
                    CODE,
                    Severity.WARNING,
                    run,
                    model,
                    mine,
                    state="flowing",
                    cause="missing_zero_grad",
                    says=says,
                    path=path,
                    also=paths[mine[0]][-1:],
                )


def _often(times: int, of: int) -> bool:
    return times >= TIMES and times >= SHARE * max(of - 1, 1)


def _stale(
    run: Run,
    event: OptimizerStep,
    pending: dict[int, Pending],
    again: dict[int, dict[int, Path]],
    polluted: dict[int, dict[int, Path]],
) -> list[int]:
    stale = []
    mine = run.optimizers[event.optimizer].parameters
    for uid in event.norms:
        state = pending.get(uid)
        if state is None or not state.passes:
            continue
        if state.applied and state.passes[-1].norms:
            again.setdefault(event.optimizer, {})[uid] = state.passes[-1].path
            stale.append(uid)
        elif state.foreign is not None and state.passes[-1] is not state.foreign:
            polluted.setdefault(event.optimizer, {})[uid] = state.foreign.path
            stale.append(uid)
        state.applied = True
        state.foreign = None
    held = set(mine)
    for uid, state in pending.items():
        if uid not in held and state.passes and not state.applied and state.foreign is None:
            last = state.passes[-1]
            if held & last.norms.keys():
                state.foreign = last
    return stale


RULE = Rule(*CODE, check, __doc__ or "")
