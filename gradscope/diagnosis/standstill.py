"""Models that plain gradient descent moves by less than their numbers resolve.

The steps of SGD are as large as the gradient. Where each of them is less than the half spacing of float32 numbers,
relative to all the weights, nearly every weight is rounded back to what it was.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from gradscope.records import Optimizer, OptimizerStep, Run
from gradscope.tallies import ZERO

RESOLUTION = 2.0**-24
"""Half the distance from 1 to the next float32 (IEEE 754): a relative change below it is rounded away."""
SMALL = 1e-4
"""rms of a gradient above which it is no small gradient that stands behind a small step, but the rate."""
SAMPLES = 3
"""Steps that have to be compared."""
FULL = 0.5
"""Share of its largest learning rate from which on a step is none of a warm-up or of the end of a schedule."""


def standing(run: Run) -> dict[str, float]:
    """Per model that stands still, the largest of its compared steps relative to its weights."""
    found = {}
    for model in run.models:
        uids = {uid for uid in model.parameters if run.parameters[uid].trainable}
        optimizers = [o for o in run.optimizers if not uids.isdisjoint(o.parameters)]
        if not uids or any(o.class_name != "SGD" for o in optimizers) or not _all_small(run, uids):
            continue
        shares = [share for o in optimizers for share in _shares(run, o, uids)]
        if len(shares) >= SAMPLES and 0.0 < max(shares) < RESOLUTION:
            found[model.name] = max(shares)
    return found


def _all_small(run: Run, uids: Collection[int]) -> bool:
    """Whether all receive gradients, and none of these was of ordinary size."""
    for uid in uids:
        tally = run.tallies.get(uid)
        if tally is None or not tally.steps or tally.norm_max is None:
            return False
        if tally.norm_max / math.sqrt(max(run.parameters[uid].numel, 1)) >= SMALL:
            return False
    return any(run.tallies[uid].norm_max or ZERO < 0.0 for uid in uids)


def _shares(run: Run, optimizer: Optimizer, uids: Collection[int]) -> list[float]:
    """Norm of the update over norm of the weights, at each step that was compared and had its full rate."""
    steps = [e for e in run.step_events if e.optimizer == optimizer.uid]
    largest = max((rate for event in steps for rate in event.lrs if rate), default=0.0)
    return [_share(event, uids) for event in steps if event.ratios and _rate(event) >= FULL * largest > 0.0]


def _rate(event: OptimizerStep) -> float:
    return max((rate for rate in event.lrs if rate), default=0.0)


def _share(event: OptimizerStep, uids: Collection[int]) -> float:
    """Over all of them; a weight that is zero moves from nothing, whatever its ratio says."""
    weights = {uid: size for uid, size in event.weights.items() if uid in uids}
    changes = [event.ratios[uid] * size for uid, size in weights.items() if uid in event.ratios and size]
    whole = math.hypot(*weights.values())
    if not whole or any(not size and event.ratios.get(uid) for uid, size in weights.items()):
        return math.inf
    return math.hypot(*changes) / whole
