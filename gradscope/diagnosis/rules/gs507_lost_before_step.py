"""GS507 lost-before-step: gradients arrive but are cleared before the optimizer uses them.

step() in the wrong place finds no gradient: it runs before backward(), or zero_grad() runs between the two.
If only some of the optimizer's parameters are concerned, a second loss is backpropagated after the step.

Gradients that are replaced by zeros between the two are lost as well.

Bad:
    optimizer.zero_grad()
    optimizer.step()
    loss.backward()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gradscope.diagnosis.alike import alike
from gradscope.diagnosis.causes import Cause, how_to_learn_the_line
from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_idle, tally
from gradscope.records import Backward, Clear, OptimizerStep, Path, Run, Write
from gradscope.records.once import once

CODE = ("GS507", "lost-before-step")
TIMES = 2
_BY_HAND = ("assigned", "zero_", "fill_", "mul_", "copy_", "set_")
_ZEROED = Cause(
    "they are set to zero between backward() and step()",
    "leave .grad alone between the two; what is not to be trained is frozen with requires_grad_(False)",
)


def check(run: Run) -> Iterable[Finding]:
    """One finding per optimizer and model."""
    yield from _cleared(run)
    yield from _overwritten(run)


def _cleared(run: Run) -> Iterable[Finding]:
    lost, applied, where = _followed(run)
    for optimizer, counts in lost.items():
        often = [u for u, n in counts.items() if n >= TIMES and u not in applied and tally(run, u).backwards >= TIMES]
        uids = [u for u in often if not is_idle(run, run.parameters[u])]
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


@once
def cleared_at(run: Run) -> dict[int, Path]:
    """Parameters whose gradients came since a step and were cleared before the next, at some steps: where, the last."""
    fresh: set[int] = set()
    cleared: dict[int, Path] = {}
    times: Counter[int] = Counter()
    where: dict[int, Path] = {}
    same = alike(run)
    for event in same.events:
        if isinstance(event, Backward):
            fresh.update(event.norms)
            for uid in event.norms:
                cleared.pop(uid, None)
        elif isinstance(event, Clear):
            cleared.update(dict.fromkeys(event.parameters & fresh, event.path))
            fresh -= event.parameters
        elif isinstance(event, OptimizerStep):
            for uid in same.held[event.optimizer]:
                if uid in cleared and not event.norms.get(uid):
                    times[uid] += 1
                    where[uid] = cleared[uid] or where.get(uid, ())
                cleared.pop(uid, None)
                fresh.discard(uid)
    return same.all({uid: path for uid, path in where.items() if times[uid] >= TIMES})


def _followed(run: Run) -> tuple[dict[int, dict[int, int]], set[int], dict[int, Clear]]:
    """How often each optimizer lost what arrived; what was applied; and where each was cleared last."""
    arrived: set[int] = set()
    cleared: dict[int, Path] = {}
    lost: dict[int, dict[int, int]] = {}
    applied: set[int] = set()
    where: dict[int, Clear] = {}
    same = alike(run)
    for event in same.events:
        if isinstance(event, Backward):
            arrived.update(event.norms)
            for uid in event.norms:
                cleared.pop(uid, None)
        elif isinstance(event, Clear):
            for uid in event.parameters & arrived:
                cleared[uid] = event.path
                where[uid] = event if event.path or uid not in where else where[uid]  # better one whose line was seen
            arrived -= event.parameters
        elif isinstance(event, OptimizerStep):
            for uid in same.held[event.optimizer]:
                if uid in cleared and not event.norms.get(uid):
                    counts = lost.setdefault(event.optimizer, {})
                    counts[uid] = counts.get(uid, 0) + 1
                    del cleared[uid]
                elif uid in event.norms:
                    arrived.discard(uid)  # it was used, also if it was zero: what is cleared later is no loss
                    if event.norms[uid] != 0.0:  # where it was not measured, what came is there
                        applied.add(uid)
    lost = {optimizer: same.all(counts) for optimizer, counts in lost.items()}
    return lost, set(same.all(dict.fromkeys(applied))), same.all(where)


def _overwritten(run: Run) -> Iterable[Finding]:
    written = zeroed(run)
    for model, mine in by_model(run, [u for u in written if not is_idle(run, run.parameters[u])]):
        yield finding(
            CODE,
            Severity.ERROR,
            run,
            model,
            mine,
            state="flowing",
            cause="zeroed_before_step",
            says="gets gradients that are never applied",
            path=written[mine[0]],
            words=_ZEROED,
            detail="" if written[mine[0]] else how_to_learn_the_line(run),
        )


@once
def zeroed(run: Run) -> dict[int, Path]:
    """Parameters for which what a pass left was replaced by zeros at each step that was measured; where, if seen."""
    delivered: set[int] = set()
    written: dict[int, Write] = {}
    cleared: dict[int, Path] = {}
    where: dict[int, Path] = {}
    lost: dict[int, int] = {}
    applied: set[int] = set()
    same = alike(run)
    for event in same.events:
        if isinstance(event, Backward):
            delivered.update(uid for uid, norm in event.norms.items() if norm)
            for uid in event.norms:
                written.pop(uid, None)
                cleared.pop(uid, None)
        elif isinstance(event, Clear):
            cleared.update(dict.fromkeys(event.parameters & delivered, event.path))
            delivered -= event.parameters
        elif isinstance(event, Write) and event.what == "grad":
            written.update(dict.fromkeys(event.parameters, event))
        elif isinstance(event, OptimizerStep):
            for uid, norm in event.norms.items():
                by = written[uid].by if uid in written else "assigned"
                where[uid] = cleared.get(uid) or where.get(uid, ())
                if norm == 0.0 and uid in delivered and by in _BY_HAND:
                    lost[uid] = lost.get(uid, 0) + 1
                elif norm:
                    applied.add(uid)
    found = {u: written[u].path if u in written else where.get(u, ()) for u in lost}
    return same.all({u: found[u] for u, n in lost.items() if n >= TIMES and u not in applied})


def _why(
    run: Run, optimizer: int, uids: list[int], applied: set[int], where: dict[int, Clear]
) -> tuple[str, Path, Path]:
    steps = [e for e in run.step_events if e.optimizer == optimizer]
    clear = where.get(uids[0])
    cleared = clear.path if clear is not None else ()
    partly = bool(applied.intersection(run.optimizers[optimizer].parameters))
    if clear is not None and not partly:
        after = next((e.clock for e in steps if e.clock > clear.clock), clear.clock)
        partly = any(clear.clock < e.clock < after for e in run.backward_events)  # another loss, before the step
    if partly or (clear is not None and clear.by in ("module", "hand")):
        return "zeroed_before_step", cleared, steps[-1].path
    first = next((e for e in run.backward_events if set(uids).intersection(e.norms)), None)
    if first is not None and steps[0].clock < first.clock:
        return "step_before_backward", steps[-1].path, first.path
    return "zero_grad_before_step", cleared, steps[-1].path


RULE = Rule(*CODE, check, __doc__ or "")
