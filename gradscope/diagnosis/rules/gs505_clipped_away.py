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

CODE = ("GS505", "clipped-away")
GONE = 1e-5
"""What is left of the gradient; clipping an exploding gradient of norm 1000 to 1 leaves 1e-3."""
LEFT = 1e-4
"""... and its norm over all that was clipped together: huge gradients that are clipped to 1 are well served."""
TIMES = 3


def check(run: Run) -> Iterable[Finding]:
    """One finding per cause and model."""
    lost: dict[tuple[str, Path], dict[int, int]] = {}
    kept: dict[int, int] = {}
    delivered: dict[int, float] = {}
    writes: list[Write] = []
    for event in run.events:
        if isinstance(event, Backward):
            delivered.update({u: n for u, n in event.norms.items() if n is not None})
            writes = [w for w in writes if not w.parameters & event.norms.keys()]
        elif isinstance(event, Write) and event.what == "grad":
            writes.append(event)
        elif isinstance(event, OptimizerStep):
            for uid, why in _whys(event, delivered, writes).items():
                if why[0]:
                    counts = lost.setdefault(why, {})
                    counts[uid] = counts.get(uid, 0) + 1
                else:
                    kept[uid] = kept.get(uid, 0) + 1
                delivered.pop(uid, None)
    for (cause, path), counts in lost.items():
        uids = [u for u, count in counts.items() if count >= TIMES and count > kept.get(u, 0)]
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


def _whys(event: OptimizerStep, delivered: dict[int, float], writes: list[Write]) -> dict[int, tuple[str, Path]]:
    """Per parameter the cause and line; none where what was clipped together still is a gradient."""
    found = {uid: _why(uid, norm, delivered.get(uid), writes) for uid, norm in event.norms.items()}
    for why in set(found.values()):
        together = [uid for uid, other in found.items() if other == why]
        left = math.hypot(*(event.norms.get(uid) or 0.0 for uid in together))
        if why[0] == "clip_to_zero" and left >= LEFT:
            found.update(dict.fromkeys(together, ("", ())))
    return found


def _why(uid: int, applied: float | None, before: float | None, writes: list[Write]) -> tuple[str, Path]:
    mine = [w for w in writes if uid in w.parameters]
    clips = [w for w in mine if w.by not in ("unscale_", "assigned", "averaged")]
    if not clips or applied is None or not before or before != before or before == float("inf"):
        return "", ()
    order = [w.by for w in mine]
    if "unscale_" in order and order.index("unscale_") > order.index(clips[0].by):
        return "clip_before_unscale", clips[0].path
    if applied < before * GONE:
        return "clip_to_zero", clips[-1].path
    return "", ()


RULE = Rule(*CODE, check, __doc__ or "")
