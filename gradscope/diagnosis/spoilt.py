"""Steps of an optimizer that made NaN or Inf out of finite gradients.

Adam and its kin divide by `sqrt(v) + eps` (Kingma and Ba, 2015, arXiv:1412.6980). Where a gradient is zero and eps is
zero, too, that is zero by zero; an eps of 1e-8 is zero in float16, whose smallest number is 6e-8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradscope.diagnosis.causes import Cause
from gradscope.records import Optimizer, OptimizerStep, Path, Run
from gradscope.records.once import once

HALF = 2.0**-25
"""What is smaller is rounded to zero in float16 (IEEE 754)."""

_LOOK = "look what that optimizer computes; zeros in a gradient are divided by, or a root is taken of less than zero"


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What a step did to a parameter, and what is known of the reason."""

    clock: int
    cause: str
    words: Cause
    path: Path


@once
def spoilt(run: Run) -> dict[int, Spoilt]:
    """Parameters that a step made NaN or Inf, though gradient and weight were finite: the first step of each."""
    found: dict[int, Spoilt] = {}
    optimizers = {optimizer.uid: optimizer for optimizer in run.optimizers}
    for event in run.step_events:
        optimizer = optimizers.get(event.optimizer)
        if optimizer is None:
            continue
        for uid, ratio in event.ratios.items():
            before = event.norms.get(uid), event.weights.get(uid)
            if uid in found or math.isfinite(ratio) or any(b is None or not math.isfinite(b) for b in before):
                continue
            in_half = run.parameters[uid].dtype == "float16"
            if optimizer.eps is not None and optimizer.eps < (HALF if in_half else math.ulp(0.0)):
                found[uid] = _no_eps(event, optimizer, in_half=in_half)
            elif math.isnan(ratio):
                words = Cause(f"the step of {optimizer.class_name} makes NaN out of finite gradients", _LOOK)
                found[uid] = Spoilt(event.clock, "unknown", words, event.path)
    return found


def _no_eps(event: OptimizerStep, optimizer: Optimizer, *, in_half: bool) -> Spoilt:
    said = f"eps={optimizer.eps:g} of {optimizer.class_name} is zero{' in float16' if in_half else ''}"
    fix = "use an eps of 1e-4, or keep the weights in float32" if in_half else "use a larger eps, such as 1e-8"
    words = Cause(f"{said}, so that its step divides by zero where the square of a gradient is zero", fix)
    return Spoilt(event.clock, "division_by_zero", words, optimizer.built or event.path)
