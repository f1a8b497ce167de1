"""GS507 lost-before-step: gradients arrive but are cleared before the optimizer uses them.

step() in the wrong place finds no gradient: it runs before backward(), or zero_grad() runs between the two.
If only some of the optimizer's parameters are concerned, a second loss is backpropagated after the step.

Bad:
    optimizer.zero_grad()
    optimizer.step()
    loss.backward()
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.alike import alike
from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_idle, tally
from gradscope.records import Backward, Clear, OptimizerStep, Path, Run

CODE = ("GS507", "lost-before-step")
TIMES = 2


def check(run: Run) -> Iterable[Finding]:
    """One finding per optimizer and model."""
    arrived: set[int] = set()
    cleared: dict[int, Path] = {}
    lost: dict[int, dict[int, int]] = {}
    applied: set[int] = set()
    where: dict[int, Clear] = {}
    for event in alike(run).events:
        if isinstance(event, Backward):
            arrived.update(event.norms)
            for uid in event.norms:
                cleared.pop(uid, None)
        elif isinstance(event, Clear):
            for uid in event.parameters & arrived:
                cleared[uid] = event.path
                where[uid] = event
            arrived -= event.parameters
        elif isinstance(event, OptimizerStep):
            for uid in cleared.keys() & alike(run).held[event.optimizer]:
                if not event.norms.get(uid):
                    counts = lost.setdefault(event.optimizer, {})
                    counts[uid] = counts.get(uid, 0) + 1
                    del cleared[uid]
            applied.update(uid for uid, norm in event.norms.items() if norm)
    where = alike(run).all(where)
    applied = set(alike(run).all(dict.fromkeys(applied)))
    for optimizer, counts in lost.items():
        often = alike(run).all({u: n for u, n in counts.items() if n >= TIMES and u not in applied})
        uids = [u for u in often if tally(run, u).backwards >= TIMES and not is_idle(run, run.parameters[u])]
        if not uids:
            continue
        cause, path, also = _why(run, optimizer, uids, applied, where)
        for model, mine in by_model(run, uids):
            yield finding(
                CODE,
                Severity.ERROR,
                run,
                model,
                mine,
                state="flowing",
                cause=cause,
                says="gets gradients that are never applied",
                path=path,
                also=also[-1:],
            )


def _why(
    run: Run, optimizer: int, uids: list[int], applied: set[int], where: dict[int, Clear]
) -> tuple[str, Path, Path]:
    steps = [e for e in run.step_events if e.optimizer == optimizer]
    clear = where.get(uids[0])
    cleared = clear.path if clear is not None else ()
    partly = bool(applied.intersection(run.optimizers[optimizer].parameters))
    if partly or (clear is not None and clear.by in ("module", "hand")):
        return "zeroed_before_step", cleared, steps[-1].path
    first = next((e for e in run.backward_events if set(uids).intersection(e.norms)), None)
    if first is not None and steps[0].clock < first.clock:
        return "step_before_backward", steps[-1].path, first.path
    return "zero_grad_before_step", cleared, steps[-1].path


RULE = Rule(*CODE, check, __doc__ or "")
