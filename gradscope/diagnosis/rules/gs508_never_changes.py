"""GS508 never-changes: gradients are applied and the values stay the same.

In half precision an update below the resolution of the weight (1/256 of it in bfloat16) is rounded away;
or something puts the old values back after every step, or a mixture that is next to nothing of the new ones. Which
line does is seen in traced steps alone: of `gradscope run`, `explain()`, and the marked steps of a `watch()`. In an
unmarked loop values that are put back are told without a line, after some fifty steps.

Bad:
    model.to(torch.bfloat16)
    optimizer = AdamW(model.parameters(), lr=3e-6)
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_shift, tally
from gradscope.diagnosis.rules.gs402_exploding_gradient import exploded
from gradscope.diagnosis.undone import undone
from gradscope.records import Parameter, Path, Run

CODE = ("GS508", "never-changes")
TIMES = 3
SMALL = 1e-6
"""A gradient below this is a matter of vanishing, not of precision."""
LARGE = 1e3
"""rms of a weight next to which an ordinary update of 1e-4 is below float32's resolution."""
LOW = ("bfloat16", "float16")


def check(run: Run) -> Iterable[Finding]:
    """One finding per cause and model."""
    groups: dict[tuple[str, Path, Path], list[int]] = {}
    put_back = undone(run)
    huge, grown = exploded(run)
    for uid, parameter in run.parameters.items():
        if uid in huge or uid in grown:
            continue
        count = tally(run, uid)
        if uid in put_back:
            path = put_back[uid]
            groups.setdefault(("overwritten_after_step", path, _built(run, uid) if path else ()), []).append(uid)
        elif count.compared >= TIMES and count.unchanged == count.compared and _moves(run, uid):
            built = _built(run, uid)
            path = _where(run, parameter) or built
            groups.setdefault(("update_lost_in_low_precision", path, built), []).append(uid)
    for (cause, path, built), uids in groups.items():
        for model, mine in by_model(run, uids):
            yield finding(
                CODE,
                Severity.ERROR,
                run,
                model,
                mine,
                state="flowing",
                cause=cause,
                says="does not change although gradients are applied",
                path=path,
                also=built[-1:],
            )


def _built(run: Run, uid: int) -> Path:
    """The line that built its optimizer. Looking for that takes long where there are many parameters."""
    return next((o.built for o in run.optimizers_of(uid)), ())


def _where(run: Run, parameter: Parameter) -> Path:
    """The line that gave it its low precision, or a value so large that updates are lost in it."""
    if parameter.dtype in LOW:
        return parameter.cast_at or parameter.registered
    sizes = [e.weights[parameter.uid] for e in run.step_events if parameter.uid in e.weights]
    return parameter.registered if sizes and sizes[0] > LARGE * max(parameter.numel, 1) ** 0.5 else ()


def _moves(run: Run, uid: int) -> bool:
    """It has a gradient that is not zero and a learning rate: it should move."""
    count = tally(run, uid)
    rates = [g.lr for o in run.optimizers_of(uid) if o.steps for g in o.groups if uid in g.parameters]
    rated = any(rate is None or rate > 0 for rate in rates) and not any(o.scheduled for o in run.optimizers_of(uid))
    return (
        _applied(run, uid) > SMALL and not is_shift(run, uid) and rated and count.backwards > 0 and not count.nonfinite
    )


def _applied(run: Run, uid: int) -> float:
    """The largest gradient its optimizer saw: what other losses left behind was cleared before it counted."""
    seen = [norm for event in run.step_events if (norm := event.norms.get(uid)) is not None]
    return max(seen, default=tally(run, uid).norm_max or 0.0)


RULE = Rule(*CODE, check, __doc__ or "")
