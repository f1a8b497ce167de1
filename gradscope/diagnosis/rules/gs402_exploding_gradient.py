"""GS402 exploding-gradient: gradients are huge from the start, or grow until the weights run away.

Told when the gradient that the optimizer applied (after unscaling and clipping) has an rms above 1000 per weight
from the start, or to the end since something was divided by next to nothing, and the loss does not fall for all that;
when it grows ten thousandfold and single updates are larger than the weights; or when one update throws most of a
model's weights far away and the loss rises. Large gradients of a loss in large units that is learning well are not
told, nor those that clipping tames.

Without tracing the losses are not known: then a huge gradient is told only if a step is larger than the weight.

A NaN that comes later is its consequence and not told apart, unless it was seen to come from the edge of a function's
domain (the logarithm of zero): then what grows after it is the consequence of that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_design, is_idle, tally
from gradscope.diagnosis.spoilt import spoilt
from gradscope.records import Backward, OptimizerStep, Origin, Path, Run
from gradscope.records.columns import receivers
from gradscope.records.once import once

BACK = 10
"""Times the first gradient: at no more than that at the end it has come back, as with a search along a line."""
CODE = ("GS402", "exploding-gradient")

HUGE = 1e3
"""rms per weight; ordinary losses give 1e-4 to 10."""
GROWTH = 1e4
"""Growth over the run that no healthy development script comes near."""
STAYS = 3
"""Steps at the end of the run that a gradient has been huge, if it was not from the start."""
LARGE = 1.0
"""... that counts: a gradient that was next to nothing at first may well grow to an ordinary size."""
RATIO = 1.0
"""Update over weight: a single step larger than the weight itself. Healthy training has about 1e-3."""
THROWN = 10.0
"""... and a step this many times larger than the weight throws away what it held: told if the loss rises after it."""
RISEN = 10.0
LEARNING = 5.0
"""A loss that falls by this factor during the run is learning, whatever the size of its gradient."""
EDGES = frozenset(
    {
        "sqrt_at_zero", "norm_division_by_zero", "log_of_zero", "where_untaken_branch", "trig_domain_edge",
        "empty_or_single_reduction", "pow_domain", "division_by_zero", "softmax_all_masked", "degenerate_decomposition",
        "nan_in_data", "ctc_infeasible",
    }
)  # fmt: skip
"""Causes of a NaN that are no value grown too large."""
ACCUMULATED = 4
"""Passes per step that make it an accumulation."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per cause and model."""
    huge, grown = exploded(run)
    origins = {u: o for o in run.origins if o.kind == "exploding" for u in o.parameters}
    sums = {u: o for o in run.origins if o.kind == "summed" for u in o.parameters}
    groups: dict[tuple[str, Path], tuple[Evidence, list[int]]] = {}
    for uid in sorted(huge | grown):
        if is_idle(run, run.parameters[uid]) or not run.parameters[uid].owners:
            continue
        origin = origins.get(uid)
        if uid not in huge and (origin is None or origin.step):  # a later one is what the growth led to
            origin = sums.get(uid)
        cause, path, evidence = _why(run, uid, origin, uid in huge)
        groups.setdefault((cause, path), (evidence, []))[1].append(uid)
    taken: dict[str, tuple[str, Path, Evidence, list[int]]] = {}
    for (cause, path), (evidence, uids) in sorted(groups.items(), key=lambda g: -len(g[1][1])):
        for model, mine in by_model(run, uids):
            taken.setdefault(model, (cause, path, evidence, []))[3].extend(mine)
    for model, (cause, path, evidence, mine_) in taken.items():
        places = [origins.get(u) for u in mine_]
        design = all(place is not None and is_design(run, model, mine_, place) for place in places)
        design = design and not grown.intersection(mine_)
        yield finding(
            CODE,
            Severity.INFO if design else Severity.ERROR,
            run,
            model,
            mine_,
            state="exploding",
            cause=cause,
            says="gets an exploding gradient",
            path=path,
            evidence=evidence,
            detail=next((place.detail for place in places if place is not None and place.cause == cause), ""),
        )


@once
def exploded(run: Run) -> tuple[set[int], set[int]]:
    """Parameters whose applied gradient is huge from the start, and those whose gradient runs away."""
    wild, thrown = _thrown(run)
    divided = {u for o in run.origins if o.cause == "near_zero_normalisation" for u in o.parameters}
    first = _first(run)
    sizes = {
        u: applied for u, applied in _sizes(run, wild).items() if not 0 < max(applied[-2:]) <= BACK * first.get(u, 0.0)
    }
    largest = {uid: max(applied) for uid, applied in sizes.items()}  # of those that did not come back
    falls = _loss_falls(run)
    jumped = {u for u, sizes in _sizes(run, dict.fromkeys(divided, -1)).items() if _stays(sizes, first.get(u))}
    huge = {u for u, size in first.items() if (size > HUGE or u in jumped) and not falls}
    if falls is None:
        huge = {
            u
            for u in huge
            if any(u in model.parameters and any(map(wild.__contains__, model.parameters)) for model in run.models)
        }
    grown = {u for u in wild if largest.get(u, 0.0) > max(LARGE, GROWTH * first.get(u, math.inf)) and u not in huge}
    return huge, grown | (_overshot(run, thrown) - huge)


def _first(run: Run) -> dict[int, float]:
    """Per parameter the first applied gradient that was not nothing: its rms."""
    first: dict[int, float] = {}
    for event in run.step_events:
        for uid in receivers(event.norms).difference(first):
            norm = event.norms[uid]
            if norm and math.isfinite(norm):
                first[uid] = norm / _root(run, uid)
    return first


def _sizes(run: Run, since: dict[int, int]) -> dict[int, list[float]]:
    """The rms of the gradients applied to each; NaN and Inf count as Inf, and only after a moment of each.

    None counts from the first on that an edge of a domain made.
    """
    sizes: dict[int, list[float]] = {}
    edge = min((o.step for o in run.origins if o.kind in ("nan", "inf") and o.cause in EDGES), default=math.inf)
    for event in run.step_events if since else ():
        for uid in since.keys() & receivers(event.norms):
            norm = event.norms[uid]
            if norm is not None and math.isfinite(norm):
                sizes.setdefault(uid, []).append(norm / _root(run, uid))
            elif norm is not None and since[uid] < event.clock and event.step < edge:
                sizes.setdefault(uid, []).append(math.inf)
    return sizes


def _stays(sizes: list[float], first: float | None) -> bool:
    """Whether a gradient has been huge to the end, after it was small."""
    end = list(itertools.takewhile(lambda size: size > HUGE, reversed([s for s in sizes if math.isfinite(s)])))
    return first is not None and len(end) >= STAYS and min(end) > GROWTH * first


def _root(run: Run, uid: int) -> float:
    return math.sqrt(max(run.parameters[uid].numel, 1))


def _thrown(run: Run) -> tuple[dict[int, int], set[int]]:
    """Matrices that a finite gradient changed by more than they were, and when first; those thrown far away."""
    wild: dict[int, int] = {}
    thrown: set[int] = set()
    for event in run.step_events:
        for uid, ratio in event.ratios.items():
            if (
                uid in spoilt(run)
                or ratio <= RATIO
                or event.weights.get(uid, 0.0) <= 0.0
                or len(run.parameters[uid].shape) < 2
            ):
                continue
            norm = event.norms.get(uid)
            if norm is not None and math.isfinite(norm):
                wild.setdefault(uid, event.clock)
                thrown.update([uid] if ratio > THROWN else [])
    return wild, thrown


def _overshot(run: Run, thrown: set[int]) -> set[int]:
    """Of models most of whose matrices a single step threw far away, those matrices, if some loss rose after it."""
    answer: set[int] = set()
    for model in run.models:
        matrices = {u for u in model.parameters if len(run.parameters[u].shape) > 1 and tally(run, u).steps}
        if 2 * len(thrown & matrices) > len(matrices):
            answer |= thrown & matrices
    rises = any(0 < RISEN * max(v[:2]) < min(v[-2:]) for v in _losses(run) if len(v) >= 4)
    return answer if rises else set()


def _loss_falls(run: Run) -> bool | None:
    """Whether some loss fell by a large factor, compared per backward line; None if none was seen often enough."""
    losses = _losses(run)
    for values in losses:
        if len(values) >= 4 and all(math.isfinite(v) for v in values):
            start, end = max(abs(v) for v in values[:2]), max(abs(v) for v in values[-2:])
            if start > HUGE and end * LEARNING < start:
                return True
    return False if any(len(values) >= 4 for values in losses) else None


def _losses(run: Run) -> list[list[float]]:
    """The losses that were seen, per backward line."""
    losses: dict[object, list[float]] = {}
    for event in run.backward_events:
        if event.loss is not None:
            losses.setdefault(event.location, []).append(event.loss)
    return list(losses.values())


def _why(run: Run, uid: int, origin: Origin | None, huge: bool) -> tuple[str, Path, Evidence]:
    optimizer = next(iter(run.optimizers_of(uid)), None)
    built = optimizer.built if optimizer is not None else ()
    if origin is not None and origin.kind == "exploding" and origin.cause != "unknown":
        return origin.cause, origin.path, Evidence.TRACED
    if not huge:
        passes = _passes(run, uid)
        if passes >= ACCUMULATED:
            return "accumulation_not_averaged", _backward_line(run, uid), Evidence.INFERRED
        if origin is not None:
            return "sum_reduction", origin.path, Evidence.TRACED
        return "lr_too_large", built, Evidence.INFERRED
    summed = next((o for o in run.origins if o.kind == "summed" and uid in o.parameters), None)
    if summed is not None:
        return "sum_reduction", summed.path, Evidence.INFERRED
    return "unknown", (), Evidence.OBSERVED


def _passes(run: Run, uid: int) -> int:
    """Backward passes per optimizer step, of this parameter."""
    passes = steps = 0
    for event in run.events:
        if isinstance(event, Backward) and uid in event.norms:
            passes += 1
        elif isinstance(event, OptimizerStep) and uid in event.norms:
            steps += 1
    return passes // steps if steps else 0


def _backward_line(run: Run, uid: int) -> Path:
    return next((e.path for e in run.backward_events if uid in e.norms), ())


RULE = Rule(*CODE, check, __doc__ or "")
