"""GS301 nonfinite-gradient: a NaN or Inf gradient was applied to the weights.

From that step on the weights are NaN and every later gradient is NaN too, so only the first occurrence
tells the cause. The loss is often finite: 0 times infinity in the backward pass is NaN.

A guard or a GradScaler that skips the batch is right: then nothing was applied, and this is only an info, unless a
guard skips them all.

Bad:
    distance = difference.pow(2).sum(-1).sqrt()          # infinite slope where two points are equal
Good:
    distance = difference.pow(2).sum(-1).clamp(min=1e-12).sqrt()
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradscope.diagnosis.causes import CAUSES, Cause
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, overflow_words, tally
from gradscope.diagnosis.rules.gs402_exploding_gradient import exploded
from gradscope.diagnosis.rules.gs503_never_stepped import withheld
from gradscope.diagnosis.rules.ranks import begun_elsewhere
from gradscope.diagnosis.spoilt import Spoilt, spoilt
from gradscope.records import MADE_OF_DATA, Origin, Run, Write
from gradscope.records.traced import CAME_IN

CODE = ("GS301", "nonfinite-gradient")
_WRITTEN = Cause("it was written into .grad, no backward pass delivered it", "look where what is written comes from")
_SPARED = "a GradScaler skips such a step now and then to find its scale; if it goes on, `gradscope run` may say why"
_OVER = (
    "tracing had ended when it came, as nothing was wrong for long: save a checkpoint shortly before that step, and"
    " start from it under `gradscope run`"
)
_LATE = "tracing came too late, when the weights were NaN already: `gradscope run` traces from the first step on"


def check(run: Run) -> Iterable[Finding]:
    """The first backward pass with a non-finite gradient, one finding per origin and model."""
    huge, grown = exploded(run)
    elsewhere = begun_elsewhere(run)  # GS603 names the rank that had it first
    begun = {u: t.first_nonfinite for u, t in run.tallies.items() if t.first_nonfinite is not None}
    begun = {u: at for u, at in begun.items() if run.parameters[u].name not in elsewhere}
    wild = {owner.model for u in huge | grown for owner in run.parameters[u].owners}
    firsts = {u: at for u, at in begun.items() if not wild.intersection(o.model for o in run.parameters[u].owners)}
    yield from _by_hand(run, wild)
    if not firsts or not run.parameters:
        return
    first = min(begun.values())
    hopeless = {u for optimizer in run.optimizers if withheld(run, optimizer) for u in optimizer.parameters}
    bad = [o for o in run.origins if o.kind in ("nan", "inf")]
    masked = {o.path[-1]: o for o in bad if o.cause == "softmax_all_masked" and o.path}
    # attention is one line with a softmax, products and often a where() in it: the empty row is what they suffer from
    chosen = [(masked.get(o.path[-1], o) if o.path else o, o.parameters) for o in bad]
    alike: dict[tuple[object, ...], Origin] = {}  # one line may give NaN to some and Inf to others
    origins = {u: alike.setdefault((o.cause, o.path, o.op, o.detail), o) for o, uids in chosen for u in uids}
    step = _spoiling_step(run, first)
    groups: dict[Origin | None, list[int]] = {}
    root = next((origins[u] for u, when in begun.items() if when == first and u in origins), None)
    for uid, when in firsts.items():
        groups.setdefault(origins.get(uid, root) if when == first else root, []).append(uid)
    for origin, uids in groups.items():
        by_step = step if step is not None and (origin is None or step.cause != "unknown") else None
        for model, mine in by_model(run, uids):
            applied = any(_is_applied(run, u) for u in mine)
            never = not applied and not hopeless.isdisjoint(mine)
            once = all(tally(run, u).nonfinite == 1 for u in mine)
            onset = _step_of(run, first)
            at = min((s for u in mine if (s := tally(run, u).first_nonfinite_step) is not None), default=onset)
            spread = f", after others at step {onset}" if at > onset else ""
            after = "" if applied else " and never another" if never else " (not applied)"
            yield finding(
                CODE,
                Severity.ERROR if applied or never else Severity.INFO,
                run,
                model,
                mine,
                state="nonfinite",
                cause=by_step.cause if by_step else origin.cause if origin else "unknown",
                words=by_step.words if by_step else _words(origin),
                detail=origin.detail if origin and not by_step else "",
                says=f"gets a NaN or Inf gradient at step {at}{spread}{after}",
                path=by_step.path if by_step else origin.path if origin else (),
                steps=(at, at if once else max(run.steps - 1, at)),
                fix=_fix(run, applied=applied) if origin is None and not by_step else "",
                evidence=Evidence.TRACED if origin and not by_step else Evidence.OBSERVED,
            )


def _spoiling_step(run: Run, first: int) -> Spoilt | None:
    """The step of an optimizer that made the weights NaN or Inf before the first gradient that was."""
    found = min(spoilt(run).values(), key=lambda s: s.clock, default=None)
    begins = next((event.clock for event in run.backward_events if event.index == first), -1)
    return found if found is not None and found.clock < begins else None


def _fix(run: Run, *, applied: bool) -> str:
    late = _OVER if run.script else _LATE
    return (late if 0 < run.traced < run.steps else "") if applied else _SPARED


def _words(origin: Origin | None) -> Cause | None:
    """Which data it was, where that was seen, or that it was spoilt in the user's own code."""
    if origin is not None and origin.op == MADE_OF_DATA:
        return _SPOILT
    if origin is not None and origin.cause == "nan_in_data" and origin.detail:
        used = "which comes in" if origin.op == CAME_IN else "used"
        return CAUSES["nan_in_data"]._replace(said=f"the data holds NaN or Inf ({origin.detail}), {used}")
    return overflow_words(origin)


_SPOILT = Cause(
    "NaN or Inf is computed from the data, before any model sees it,",
    "guard what is computed there: a divisor, deviation or logarithm of zero, or nothing to take a mean of",
)


def _by_hand(run: Run, wild: set[str]) -> Iterable[Finding]:
    """NaN or Inf that no backward pass delivered: written into `.grad`."""
    uids = [
        u
        for u, t in run.tallies.items()
        if t.stepped_nonfinite and t.first_nonfinite is None and run.parameters[u].owners
    ]
    for model, mine in by_model(run, uids):
        if model in wild:
            continue
        steps = [e.step for e in run.step_events if any(not math.isfinite(e.norms.get(u) or 0.0) for u in mine)]
        paths = [e.path for e in run.events if isinstance(e, Write) and e.what == "grad" and e.parameters & set(mine)]
        step = min(steps, default=0)
        yield finding(
            CODE,
            Severity.ERROR,
            run,
            model,
            mine,
            state="nonfinite",
            cause="unknown",
            words=_WRITTEN,
            says=f"is stepped with a NaN or Inf gradient at step {step}",
            path=next((path for path in paths if path), ()),
            steps=(step, max(run.steps - 1, step)),
        )


def _is_applied(run: Run, uid: int) -> bool:
    count = tally(run, uid)
    if count.steps or not run.parameters[uid].drifts:
        return count.stepped_nonfinite > 0
    # updated by hand: nothing but NaN to the end says that the first went into the weights
    return count.nonfinite > 1 and count.norm_last is not None and not math.isfinite(count.norm_last)


def _step_of(run: Run, backward: int) -> int:
    steps = (t.first_nonfinite_step for t in run.tallies.values() if t.first_nonfinite == backward)
    return next((step for step in steps if step is not None), 0)


RULE = Rule(*CODE, check, __doc__ or "")
