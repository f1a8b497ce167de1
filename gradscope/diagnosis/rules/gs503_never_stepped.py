"""GS503 never-stepped: an optimizer was built, its parameters get gradients, and it never steps.

Either step() was forgotten, or the condition around it is never true (accumulation over more batches than
an epoch has), or a GradScaler finds Inf or NaN each time and skips. Where a guard of the user's own skips because no
gradient was ever finite, GS301 tells why they are not.

Bad:
    loss_d.backward()
    loss_g.backward()
    optimizer_g.step()          # and optimizer_d?
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradscope.diagnosis.causes import Cause
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, tally
from gradscope.records import Optimizer, Path, Run, Write

CODE = ("GS503", "never-stepped")
_SKIPPED = Cause("each step is skipped, as others of its optimizer get NaN or Inf", "mend what makes those NaN or Inf")
_OF_SCALE = ("half_overflow", "exp_overflow", "unknown")
PASSES = 2
"""Backward passes before a step is expected."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per optimizer and model."""
    stepping = {uid for o in run.optimizers if o.steps for uid in o.parameters}
    for optimizer in run.optimizers:
        if optimizer.steps:
            continue
        uids = [u for u in optimizer.parameters if u not in stepping and tally(run, u).backwards >= PASSES]
        if withheld(run, optimizer):
            yield from _beside(run, optimizer, uids)
            continue
        cause, path = _why(run, optimizer, uids)
        for model, mine in by_model(run, uids):
            yield finding(
                CODE,
                Severity.ERROR,
                run,
                model,
                mine,
                state="flowing",
                cause=cause,
                says="is never updated",
                path=path,
                evidence=Evidence.OBSERVED if cause == "missing_step" else Evidence.INFERRED,  # read in the source
                also=(*(optimizer.step_line[-1:] if cause == "never_reaches_step" else ()), *optimizer.built[-1:]),
            )


def _beside(run: Run, optimizer: Optimizer, uids: list[int]) -> Iterable[Finding]:
    """What gets good gradients, and is never updated because others of its optimizer get NaN or Inf each time."""
    held = set(optimizer.parameters)
    origin = next((o for o in run.origins if o.kind in ("nan", "inf") and o.parameters & held), None)
    for model, mine in by_model(run, [u for u in uids if not tally(run, u).nonfinite]):
        yield finding(
            CODE,
            Severity.ERROR,
            run,
            model,
            mine,
            state="flowing",
            cause=origin.cause if origin is not None else "never_reaches_step",
            says="is never updated",
            path=origin.path if origin is not None else optimizer.step_line,
            also=optimizer.step_line[-1:],
            words=_SKIPPED,
        )


def withheld(run: Run, optimizer: Optimizer) -> bool:
    """Whether its step() is called in the source, never ran, and would have found NaN or Inf each time."""
    counts = [tally(run, uid) for uid in optimizer.parameters]
    spoilt = any(c.measured and c.nonfinite == c.measured for c in counts)
    guarded = bool(optimizer.step_line) and (_is_direct(optimizer) or _at_any_scale(run, optimizer))
    return not optimizer.steps and guarded and spoilt


def _at_any_scale(run: Run, optimizer: Optimizer) -> bool:
    """Whether what makes NaN or Inf is known, and no overflow that a GradScaler with a smaller scale would mend."""
    held = set(optimizer.parameters)
    causes = {o.cause for o in run.origins if o.kind in ("nan", "inf") and o.parameters & held}
    return bool(causes) and causes.isdisjoint(_OF_SCALE)


def _is_direct(optimizer: Optimizer) -> bool:
    return bool(re.search(r"\.step\(\s*\)", optimizer.step_line[-1].text))


def _why(run: Run, optimizer: Optimizer, uids: list[int]) -> tuple[str, Path]:
    mine = set(uids)
    unscaled = any(isinstance(e, Write) and e.by == "unscale_" and mine & e.parameters for e in run.events)
    through = optimizer.step_line and not _is_direct(optimizer)
    skipped = through and all(c.measured and c.nonfinite == c.measured for c in (tally(run, u) for u in uids))
    if unscaled or skipped:
        return "scaler_always_skips", optimizer.step_line
    if optimizer.step_line:
        return "never_reaches_step", optimizer.guard_line or optimizer.step_line
    reaching = [e for e in run.backward_events if mine.intersection(e.norms)]
    alone = [e for e in reaching if mine.issuperset(e.norms)]  # not the generator's, which reaches its judge as well
    return "missing_step", next((e.path for e in reversed(alone or reaching)), ())


RULE = Rule(*CODE, check, __doc__ or "")
