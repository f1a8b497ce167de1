"""GS508 never-changes: gradients are applied and the values stay the same.

In half precision an update below the resolution of the weight (1/256 of it in bfloat16) is rounded away;
or something puts the old values back after every step.

Bad:
    model.to(torch.bfloat16)
    optimizer = AdamW(model.parameters(), lr=3e-6)
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_shift, tally
from gradscope.records import Path, Run, Write

CODE = ("GS508", "never-changes")
TIMES = 3
SMALL = 1e-6
"""A gradient below this is a matter of vanishing, not of precision."""
LOW = ("bfloat16", "float16")


def check(run: Run) -> Iterable[Finding]:
    """One finding per cause and model."""
    groups: dict[tuple[str, Path, Path], list[int]] = {}
    undone = _undone(run)
    for uid, parameter in run.parameters.items():
        count = tally(run, uid)
        built = next((o.built for o in run.optimizers_of(uid)), ())
        if uid in undone:
            groups.setdefault(("overwritten_after_step", undone[uid], built), []).append(uid)
        elif count.compared >= TIMES and count.unchanged == count.compared and _moves(run, uid):
            path = parameter.cast_at if parameter.dtype in LOW and parameter.cast_at else built
            groups.setdefault(("update_lost_in_low_precision", path, built), []).append(uid)
    for (cause, path, built), uids in groups.items():
        for model, mine in by_model(run, uids):
            yield finding(
                CODE, Severity.ERROR, run, model, mine,
                state="flowing", cause=cause, says="does not change although gradients are applied", path=path, also=built[-1:],
            )  # fmt: skip


def _moves(run: Run, uid: int) -> bool:
    """It has a gradient that is not zero and a learning rate: it should move."""
    count = tally(run, uid)
    rates = [g.lr for o in run.optimizers_of(uid) if o.steps for g in o.groups if uid in g.parameters]
    rated = any(rate is None or rate > 0 for rate in rates) and not any(o.scheduled for o in run.optimizers_of(uid))
    return (count.norm_max or 0.0) > SMALL and not is_shift(run, uid) and rated and count.backwards > 0 and not count.nonfinite


def _undone(run: Run) -> dict[int, Path]:
    """Parameters whose weight before each step is what it was before the step before, and who wrote to them."""
    seen: dict[int, float] = {}
    same: dict[int, int] = {}
    other: set[int] = set()
    for event in run.step_events:
        for uid, weight in event.weights.items():
            if uid in seen and event.ratios.get(uid):
                if seen[uid] == weight:
                    same[uid] = same.get(uid, 0) + 1
                else:
                    other.add(uid)
            seen[uid] = weight
    writes: dict[int, Path] = {}
    for event in run.events:
        if isinstance(event, Write) and event.what == "value":
            for uid in event.parameters:
                writes[uid] = event.path
    return {u: writes[u] for u, n in same.items() if n >= TIMES - 1 and u not in other and u in writes}


RULE = Rule(*CODE, check, __doc__ or "")
