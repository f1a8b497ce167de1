"""Frozen with a shallow copy: `copy.copy()` of a module is another module with the very same layers."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.diagnosis.rules.common import tally
from gradscope.records import Run

STEPS = 3
"""Steps of an optimizer without any gradient before it is told."""


def frozen_with_its_copy(run: Run) -> Iterator[list[int]]:
    """What an optimizer holds of models of which a shallow copy was frozen, and they with it."""
    held = {u for optimizer in run.optimizers if optimizer.steps >= STEPS for u in optimizer.parameters}
    for model in run.models:
        if not model.shallow_of or any(run.parameters[u].trainable for u in model.parameters):
            continue
        uids = [u for u in model.parameters if u in held and run.parameters[u].frozen_at]
        if uids and not any(tally(run, u).backwards for u in uids):
            yield uids
