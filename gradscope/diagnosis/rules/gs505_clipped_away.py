"""GS505 clipped-away: between backward and step the gradient is scaled down to practically nothing.

Clipping to a norm that is far below any gradient, or clipping gradients that are still multiplied by the
loss scale of a GradScaler, leaves the optimizer with almost zero.

What writes to the gradients is seen in traced steps. In others it is told by what is left: if that is so little that
no loss scale can be the reason, or if a traced step had it as well.

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
from collections import deque
from collections.abc import Iterable, Mapping, Set

from gradscope.diagnosis.causes import how_to_learn_the_line
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding
from gradscope.records import Backward, OptimizerStep, Path, Run, Write
from gradscope.records.columns import receivers, unmeasured

CODE = ("GS505", "clipped-away")
GONE = 1e-5
"""What is left of the gradient; clipping an exploding gradient of norm 1000 to 1 leaves 1e-3."""
LEFT = 1e-4
"""... and its norm over all that was clipped together: huge gradients that are clipped to 1 are well served."""
UNSEEN = 1e-9
"""What is left where nobody saw how: a GradScaler, too, may have divided, by at most 2^24 = 1.7e7 in practice."""
TIMES = 3


def check(run: Run) -> Iterable[Finding]:
    """One finding per cause and model."""
    if not any(isinstance(event, Write) and _is_clip(event) for event in run.events) and not _any_faint(run):
        return
    lost, unseen, faint = _lost(run)
    for counts in lost.values():
        for uid in counts.keys() & unseen.keys():
            counts[uid] += unseen.pop(uid)
    where: Path = next((path for cause, path in lost if cause == "clip_to_zero"), ())
    for uid in faint & unseen.keys():
        lost.setdefault(("clip_to_zero", where), {})[uid] = unseen[uid]
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
                evidence=Evidence.OBSERVED if path else Evidence.INFERRED,
                detail="" if path else how_to_learn_the_line(run),
            )


def _lost(run: Run) -> tuple[dict[tuple[str, Path], dict[int, int]], dict[int, int], Set[int]]:
    """Per cause and line at how many steps each parameter lost its gradient; the same where nobody saw how."""
    lost: dict[tuple[str, Path], dict[int, int]] = {}
    unseen: dict[int, int] = {}
    faint: set[int] = set()
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
            for uid, share in _shares(event, delivered).items() if not writes else ():
                unseen[uid] = unseen.get(uid, 0) + 1
                if share < UNSEEN:
                    faint.add(uid)
            for uid in receivers(event.norms):
                delivered.pop(uid, None)
    return lost, unseen, faint


def _any_faint(run: Run) -> bool:
    """Whether a step whose updates were looked at was given practically nothing of what a pass had brought."""
    passes: deque[Mapping[int, float | None]] = deque(maxlen=8)
    for event in run.events:
        if isinstance(event, Backward):
            passes.append(event.norms)
        elif isinstance(event, OptimizerStep) and (event.ratios or run.parts):  # of a part no update may be told
            little = [(uid, norm) for uid, norm in event.norms.items() if norm and norm < LEFT]
            if any(norm < (norms.get(uid) or 0.0) * GONE for uid, norm in little for norms in passes):
                return True
    return False


def _shares(event: OptimizerStep, delivered: dict[int, float | None]) -> dict[int, float]:
    """What is left of each gradient, of those of which practically nothing is, if of all of these together."""
    found = {
        uid: norm
        for uid, norm in event.norms.items()
        if norm and (before := delivered.get(uid)) and math.isfinite(before) and norm < before * GONE
    }
    return {} if math.hypot(*found.values()) >= LEFT else {u: n / (delivered[u] or 1.0) for u, n in found.items()}


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
    """At how many optimizer steps what each was given was measured."""
    counts = dict.fromkeys(uids, 0)
    for event in run.step_events if uids else ():
        for uid in (uids & receivers(event.norms)).difference(unmeasured(event.norms)):
            counts[uid] += 1
    return counts


def _is_clip(write: Write) -> bool:
    return write.what == "grad" and write.by not in ("unscale_", "assigned", "averaged")


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
