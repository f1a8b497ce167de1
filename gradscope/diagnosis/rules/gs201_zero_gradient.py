"""GS201 zero-gradient: gradients arrive and are exactly zero, pass after pass.

The graph is connected, so nothing that looks at `grad is None` sees it. Something on the way multiplies by
zero: a dead ReLU, a saturated softmax, a clamp, a rounding, a mask, a weight of 0.0 on the loss.

Zero is normal at the first steps of LoRA, zero-initialised gates and zero-gamma residual blocks (they wake
within three steps), and for ever in biases that shift what comes after is invariant to; neither is told.

Bad:
    loss = task_loss + 0.0 * aux_loss
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from gradscope.diagnosis.causes import Cause
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import (
    by_model,
    finding,
    is_design,
    is_idle,
    is_shift,
    numberless,
    overflow_words,
    tally,
)
from gradscope.diagnosis.rules.gs402_exploding_gradient import exploded
from gradscope.records import Origin, Path, Run, Tally, traced

CODE = ("GS201", "zero-gradient")

PASSES = 4
"""Passes before zero is believed: zero-initialised branches need up to three steps to wake."""
STOPPED = 5
"""Zero passes in a row, after others that were not, before a gradient counts as having died."""
HEALTHY_STREAK = {"satisfied_margin", "masked", "unknown", "cancelling_gradient"}
"""Causes that come and go in good training: told only where the gradient was never anything but zero."""
UNCHANGED = {
    "grad_hook", "zero_derivative", "zero_multiplier", "dead_relu", "saturated_activation", "clamp_out_of_range",
    "constant_output", "out_of_range_sampling",
}  # fmt: skip
"""Causes that are told of a loop without any optimizer, too: it may not move the zeros that others wait for."""
NOISE = 1e-4
"""Of the run's largest gradient, or of 1 where that is larger (another model's may be huge).

What is zero by mathematics is rounding noise in numbers: a LayerNorm over one element leaves about 1e-5 of what it is
given (float32 resolution 6e-8, times 1/sqrt(eps) = 316 of the normalisation).
"""
_WORDS = {
    traced.OVERWRITTEN: Cause(
        "what it computed is overwritten in place by a later line",
        "write it somewhere else, or combine both with torch.cat or torch.stack",
    ),
    traced.DERIVATIVE: Cause(
        "what is differentiated is linear in pieces (ReLU), so its next derivative is exactly zero",
        "use a smooth activation such as tanh, softplus or SiLU in what is differentiated",
    ),
    traced.DIFFERENCE: Cause(
        "it is multiplied by a difference that is always zero, which is taken",
        "check what is taken from what there: along which axis the mean goes, and that it is a mean of more than one",
    ),
    traced.WHOLE: Cause(
        "it is multiplied by a whole number that a division has rounded down to zero, which happens",
        "divide with / and not with //, or convert the operands to floating point before",
    ),
    traced.ZERO_INPUT: Cause(
        "what it is given is all zero, which begins",
        "check what is computed there: a factor of zero, an integer division, or data that is zero",
    ),
    traced.HANDED_IN: Cause(
        "the gradient that its backward pass is given is zero already",
        "look at what made it: the later stages of a pipeline, or the argument of backward()",
    ),
    traced.MET: Cause(
        "its loss is exactly zero, because what it computes equals the target",
        "check the targets, and that training does not begin where an earlier one ended",
    ),
    traced.MET_ITSELF: Cause(
        "its loss is always zero, because what it computes is compared with itself",
        "compute the target from the data, or with a model of its own",
    ),
}
"""Causes that are told by the name of an operation."""
_UNCHOSEN = Cause(
    "a mask hides everything it computes, but not what others of its list do,",
    "if a router chooses among them, it never takes this one: add noise or a load-balancing loss; else check the mask",
)


_TOLD = {*_WORDS, traced.SELECTIVE}
"""In place of operations' names: what is said differs with them."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per origin and model."""
    origins: dict[int, Origin] = {}
    for origin in run.origins:
        if origin.kind in ("zero", "none"):
            for uid in origin.parameters:
                origins[uid] = origin
    groups: dict[Origin | None, list[int]] = {}
    alike: dict[tuple[str, Path, str], Origin] = {}  # one line may do the same to several: a hook, a loop over layers
    for uid in _dead(run, origins):
        source = _source(run, uid, origins.get(uid))
        if source is not None and source.path:
            told = source.op if source.op in _TOLD else ""
            source = alike.setdefault((source.cause, source.path, told), source)
        groups.setdefault(source, []).append(uid)
    for source, uids in groups.items():
        if all(is_shift(run, uid) for uid in uids):
            continue
        for model, mine in by_model(run, [u for u in uids if not is_shift(run, u)]):
            design = is_design(run, model, mine, source)
            unchosen = source is not None and source.cause == "masked" and _others_chosen(run, mine)
            yield finding(
                CODE,
                _severity(source, design, unchosen),
                run,
                model,
                mine,
                state="zero",
                cause=source.cause if source else "unknown",
                says=_says(run, mine),
                path=_path(run, mine, source),
                evidence=Evidence.TRACED if source else Evidence.OBSERVED,
                words=_WORDS.get(source.op if source else "") or (_UNCHOSEN if unchosen else overflow_words(source)),
                detail=source.detail if source is not None and source.op == traced.OVERWRITTEN else "",
            )


def _severity(source: Origin | None, design: bool, unchosen: bool) -> Severity:
    if design or (source is not None and source.op == traced.SELECTIVE):
        return Severity.INFO
    return Severity.WARNING if unchosen or (source is not None and source.op == traced.MET) else Severity.ERROR


def _others_chosen(run: Run, uids: Sequence[int]) -> bool:
    """Whether of each there is another, at another place of the same list, that is not hidden: experts of a router."""
    alive = {numberless(p) for u, p in run.parameters.items() if p.owners and _lives(run, u)}
    return all((name := numberless(run.parameters[u])) in alive and "#" in name for u in uids)


def _lives(run: Run, uid: int) -> bool:
    count = tally(run, uid)
    return count.zero < count.measured


def _source(run: Run, uid: int, origin: Origin | None) -> Origin | None:
    """Where it became zero. Where no place is known, it may be what made the gradient tiny elsewhere in the model."""
    if origin is not None and origin.cause != "unknown":
        return origin
    nearby = set(_siblings(run, uid))
    shrinking = (o for o in run.origins if o.kind == "vanishing" and o.cause != "unknown" and o.parameters & nearby)
    return next(shrinking, origin)


def _path(run: Run, uids: Sequence[int], origin: Origin | None) -> Path:
    """Where it became zero; of what came in so, the line that ran the pass."""
    if origin is None or origin.op != traced.HANDED_IN:
        return origin.path if origin is not None else ()
    return next((event.path for event in reversed(run.backward_events) if uids[0] in event.norms), ())


def _says(run: Run, uids: Sequence[int]) -> str:
    if any(not tally(run, uid).zero_streak for uid in uids):
        return "gets nothing but rounding noise as gradient"
    if any(count.zero < count.measured for uid in uids if (count := tally(run, uid))):
        return f"gets only zeros as gradient in the last {min(tally(run, u).zero_streak for u in uids)} passes"
    return "gets only zeros as gradient"


def _dead(run: Run, origins: dict[int, Origin]) -> Iterable[int]:
    huge, grown = exploded(run)
    wild = huge | grown
    sizes = [c.norm_max for c in run.tallies.values() if c.norm_max and isfinite(c.norm_max)]
    noise = NOISE * min(max(sizes, default=0.0), 1.0)
    by_hand = not any(optimizer.steps for optimizer in run.optimizers)
    for uid, parameter in run.parameters.items():
        count = tally(run, uid)
        if wild and (uid in wild or wild.intersection(_siblings(run, uid))):
            continue
        cause = origins[uid].cause if uid in origins else "unknown"
        stepped = count.steps or (by_hand and cause in UNCHANGED)
        if not parameter.owners or is_idle(run, parameter) or not stepped or _ends_broken(count):
            continue
        always = count.measured >= PASSES and count.zero == count.measured
        streak = count.zero_streak >= max(STOPPED, 0.6 * count.measured)
        if cause in HEALTHY_STREAK or (uid in origins and origins[uid].op == traced.FLOOR):  # free bits
            streak = streak and cause == "masked" and _whole_model_stopped(run, uid)
        faint = (count.norm_max or 0.0) > 0.0 and cause == "unknown"
        constant = cause == "constant_output" and count.measured >= PASSES and (count.norm_max or 0.0) < noise
        if not faint and (always or constant or (streak and count.zero < count.measured)):
            yield uid


def _ends_broken(count: Tally) -> bool:
    """Its last gradient was NaN or Inf, which GS301 tells, and no zero any more."""
    return count.norm_last is not None and not isfinite(count.norm_last)


def _whole_model_stopped(run: Run, uid: int) -> bool:
    """One expert may idle for long; a whole model that gets only zeros has stopped."""
    counts = [tally(run, u) for u in _siblings(run, uid)]
    return all(c.zero_streak >= STOPPED for c in counts if c.measured)


def _siblings(run: Run, uid: int) -> Iterable[int]:
    """Parameters of the same models: after an explosion their zeros are its consequence."""
    models = {owner.model for owner in run.parameters[uid].owners}
    return [u for model in run.models if model.name in models for u in model.parameters]


RULE = Rule(*CODE, check, __doc__ or "")
