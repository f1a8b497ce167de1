"""GS401 vanishing-gradient: gradients arrive, but so small that the weights do not move.

A float32 weight of ordinary size no longer moves when its gradient is below about 1e-7 (the resolution of
float32 is 1.2e-7); Adam, whose steps do not depend on the gradient's size, still moves it until its eps of 1e-8
damps what is smaller. A model is told when its gradient is below
that over the whole run, and a millionth of what the best-served parameter of the same pass receives (or, where
all are tiny, below eps everywhere). A model that plain SGD trains is told, too, where each step moves it by less than
float32 resolves.

Usual reasons: too small an initialisation, sigmoid after sigmoid, many layers without a shortcut, a long
recurrence, a loss in tiny units, a saturated GAN loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradscope.diagnosis.causes import CAUSES
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_design, is_idle, is_shift, tally
from gradscope.diagnosis.rules.gs201_zero_gradient import check as zeros
from gradscope.diagnosis.standstill import standing
from gradscope.records import Origin, Path, Run
from gradscope.records.columns import receivers

CODE = ("GS401", "vanishing-gradient")

TINY = 1e-7
"""rms of a gradient below which a float32 weight no longer moves: its resolution is 1.2e-7."""
RELATIVE = 1e-6
"""... and this much below the largest rms of the same pass. No healthy test script comes within a factor of ten."""
NEAR = 1e-4
"""... for those that one and the same operation shrinks, once one of them is told: layer by layer there is no edge."""
NOTHING = 1e-9
"""Where no parameter of the pass receives more: a tenth of the eps (1e-8) of Adam (Kingma & Ba 2015)."""
DAMPED = 0.1
"""Of the eps of an optimizer that divides by the gradient's own size: only below that its steps get small."""
PASSES = 3
_TINY_LOSS = CAUSES["tiny_loss_scale"]._replace(said="the loss itself is tiny")


def check(run: Run) -> Iterable[Finding]:
    """One finding per origin and model."""
    told = {(f.model, p) for f in zeros(run) for p in f.parameters}
    origins: dict[int, Origin] = {}
    for origin in run.origins:
        if origin.kind in ("vanishing", "satisfied"):
            for uid in origin.parameters:
                origins[uid] = origin
    best = _best(run)
    sure = [u for u in best if _is_tiny(run, u, best[u]) and not is_shift(run, u)]
    sure = [u for u in sure if u not in origins or origins[u].kind == "vanishing"]
    shrunk = {_shrinker(origins[u]) for u in sure if u in origins}
    beside = [u for u in best if u in origins and _shrinker(origins[u]) in shrunk and not is_shift(run, u)]
    tiny = [*sure, *(u for u in beside if u not in sure and _is_tiny(run, u, best[u], NEAR))]
    tiny = [u for u in tiny if not any((o.model, o.fqn) in told for o in run.parameters[u].owners)]
    groups: dict[tuple[str, object], tuple[Origin | None, list[int]]] = {}
    for uid in tiny:
        source = origins.get(uid)
        key = _shrinker(source) if source else ("unknown", ())
        groups.setdefault(key, (source, []))[1].append(uid)
    zeroed = {model for model, _ in told}
    slow = {} if tiny else {model: share for model, share in standing(run).items() if model not in zeroed}
    for source, uids in _merged(run, groups) if tiny else _slow(run, slow, origins):
        for model, mine in by_model(run, uids):
            if not any(len(run.parameters[u].shape) > 1 for u in mine):
                continue
            design = is_design(run, model, mine, source)
            yield finding(
                CODE,
                Severity.INFO if design else Severity.ERROR,
                run,
                model,
                mine,
                state="vanishing",
                cause=source.cause if source else "unknown",
                says=_says(best, mine, slow.get(model)),
                path=source.path if source else (),
                evidence=Evidence.TRACED if source else Evidence.OBSERVED,
                words=_TINY_LOSS if source and source.cause == "tiny_loss_scale" and model in slow else None,
                detail=source.detail if source else "",
            )


def _says(best: dict[int, tuple[float, float]], uids: Iterable[int], share: float | None) -> str:
    if share is not None:
        moved = f"{share:.0e} of their size a step"
        return f"gets a gradient that moves its weights by less than float32 resolves of most ({moved})"
    return f"gets a vanishing gradient (at most {max(best[u][0] for u in uids):.0e} per weight)"


def _slow(run: Run, slow: Iterable[str], origins: dict[int, Origin]) -> Iterable[tuple[Origin | None, list[int]]]:
    """Models that stand still though no gradient is tiny by itself, and why, where some of it is; not if it is met."""
    for model in run.models:
        known = [origins[u] for u in model.parameters if u in origins]
        if model.name in slow and all(origin.kind == "vanishing" for origin in known):
            mine = [u for u in model.parameters if run.parameters[u].trainable and not is_idle(run, run.parameters[u])]
            yield next(iter(known), None), mine


def _merged(
    run: Run, groups: dict[tuple[str, object], tuple[Origin | None, list[int]]]
) -> list[tuple[Origin | None, list[int]]]:
    """One model is told one cause: the one most of its tiny parameters have."""
    largest = sorted(groups.values(), key=lambda group: -len(group[1]))
    taken: dict[str, tuple[Origin | None, list[int]]] = {}
    for origin, uids in largest:
        for model, mine in by_model(run, uids):
            taken.setdefault(model, (origin, []))[1].extend(mine)
    return list(taken.values())


def _best(run: Run) -> dict[int, tuple[float, float]]:
    """Per parameter: the largest rms of its gradient over the run, alone and relative to the largest in its pass.

    Without those that were once large enough alone.
    """
    answer: dict[int, tuple[float, float]] = {}
    passes: dict[int, int] = {}
    served: set[int] = set()
    roots = {uid: math.sqrt(max(parameter.numel, 1)) for uid, parameter in run.parameters.items()}
    for event in run.backward_events:
        if receivers(event.norms) <= served:
            continue
        sizes = {u: n / roots[u] for u, n in event.norms.items() if n is not None}
        top = max((s for s in sizes.values() if math.isfinite(s)), default=0.0)
        for uid in sizes.keys() - served:
            alone, relative = answer.get(uid, (0.0, 0.0))
            sound = sizes[uid] if math.isfinite(sizes[uid]) else math.inf
            answer[uid] = (max(alone, sound), max(relative, sound / top if top else 1.0))
            passes[uid] = passes.get(uid, 0) + 1
            if answer[uid][0] >= TINY:
                served.add(uid)
    return {uid: best for uid, best in answer.items() if uid not in served and passes[uid] >= PASSES}


def _shrinker(origin: Origin) -> tuple[str, Path]:
    return origin.cause, origin.path[-1:]


def _is_tiny(run: Run, uid: int, best: tuple[float, float], limit: float = RELATIVE) -> bool:
    parameter = run.parameters[uid]
    alone, relative = best
    if not parameter.owners or is_idle(run, parameter) or not tally(run, uid).steps or alone <= 0.0:
        return False
    if alone >= NOTHING and (alone >= TINY or relative >= limit):
        return False  # whatever its optimizers, which are not found at once
    damped = [o.eps * DAMPED for o in run.optimizers_of(uid) if o.eps is not None]
    return (alone < min([TINY, *damped]) and relative < limit) or alone < min([NOTHING, *damped])


RULE = Rule(*CODE, check, __doc__ or "")
