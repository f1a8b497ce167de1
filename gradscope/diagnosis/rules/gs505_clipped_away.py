"""GS505 clipped-away: between backward and step the gradient is scaled down to practically nothing.

Clipping to a norm that is far below any gradient, or clipping gradients that are still multiplied by the
loss scale of a GradScaler, leaves the optimizer with almost zero.

Bad:
    scaler.scale(loss).backward()
    clip_grad_norm_(model.parameters(), 1.0)      # the gradient is 65536 times too large here
    scaler.step(optimizer)
Good:
    scaler.unscale_(optimizer)
    clip_grad_norm_(model.parameters(), 1.0)
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding
from gradscope.records import Backward, OptimizerStep, Path, Run, Write
from gradscope.records.columns import receivers

CODE = ("GS505", "clipped-away")
GONE = 1e-5
"""What is left of the gradient; clipping an exploding gradient of norm 1000 to 1 leaves 1e-3."""
LEFT = 1e-4
"""... and its norm over all that was clipped together: huge gradients that are clipped to 1 are well served."""
TIMES = 3


def check(run: Run) -> Iterable[Finding]:
    """One finding per cause and model."""
    if not any(isinstance(event, Write) and event.what == "grad" and _is_clip(event) for event in run.events):
        return
    lost: dict[tuple[str, Path], dict[int, int]] = {}
    delivered: dict[int, float | None] = {}
    writes: list[Write] = []
    for event in run.events:
        if isinstance(event, Backward):
            delivered.update(event.norms.items())
            writes = [w for w in writes if w.parameters.isdisjoint(receivers(event.norms))]
        elif isinstance(event, Write) and event.what == "grad":
            writes.append(event)
        elif isinstance(event, OptimizerStep):
            for uid, why in _whys(event, delivered, writes).items():
                counts = lost.setdefault(why, {})
                counts[uid] = counts.get(uid, 0) + 1
            for uid in receivers(event.norms):
                delivered.pop(uid, None)
    kept = _steps(run, {uid for counts in lost.values() for uid in counts})
    for counts in lost.values():
        for uid, count in counts.items():
            kept[uid] -= count
    for (cause, path), counts in lost.items():
        uids = [u for u, count in counts.items() if count >= TIMES and count > kept[u]]
        for model, mine in by_model(run, uids):
            yield finding(
                CODE,
                Severity.ERROR,
                run,
                model,
                mine,
                state="flowing",
                cause=cause,
                says="receives practically nothing at the optimizer step",
                path=path,
            )


def _whys(event: OptimizerStep, delivered: dict[int, float | None], writes: list[Write]) -> dict[int, tuple[str, Path]]:
    """Per parameter that lost its gradient the cause and line; not where what was clipped together still is one."""
    clip = next((number for number, w in enumerate(writes) if _is_clip(w)), len(writes))
    if not writes[clip:]:
        return {}
    applied = {uid: norm for uid, norm in event.norms.items() if norm is not None}
    if not any(w.by == "unscale_" for w in writes[clip:]):
        applied = {uid: norm for uid, norm in applied.items() if norm < (delivered.get(uid) or 0.0) * GONE}
    found = {uid: why for uid, norm in applied.items() if (why := _why(uid, norm, delivered.get(uid), writes))}
    for why in set(found.values()):
        together = [uid for uid, other in found.items() if other == why]
        if why[0] == "clip_to_zero" and math.hypot(*(applied[uid] for uid in together)) >= LEFT:
            found = {uid: other for uid, other in found.items() if other != why}
    return found


def _steps(run: Run, uids: set[int]) -> dict[int, int]:
    """How many optimizer steps had a gradient of each."""
    counts = dict.fromkeys(uids, 0)
    for event in run.step_events if uids else ():
        for uid in uids & receivers(event.norms):
            counts[uid] += 1
    return counts


def _is_clip(write: Write) -> bool:
    return write.by not in ("unscale_", "assigned", "averaged")


def _why(uid: int, applied: float, before: float | None, writes: list[Write]) -> tuple[str, Path] | None:
    mine = [w for w in writes if uid in w.parameters]
    clips = list(filter(_is_clip, mine))
    if not clips or not before or not math.isfinite(before):
        return None
    order = [w.by for w in mine]
    if "unscale_" in order and order.index("unscale_") > order.index(clips[0].by):
        return "clip_before_unscale", clips[0].path
    if applied < before * GONE:
        return "clip_to_zero", clips[-1].path
    return None


RULE = Rule(*CODE, check, __doc__ or "")
