"""Which passes are measured, and how: the norms of what a pass delivered."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch

from gradscope.capture.budget import Budget
from gradscope.capture.norms import Measured, Plan
from gradscope.records import Path
from gradscope.records.columns import Cohort


class Meter:
    """Takes the norms of every n-th pass of each line, so that no line is left out."""

    def __init__(self, every: int, budget: Budget) -> None:
        self.every = every
        self.budget = budget
        self._passes: dict[int, int] = {}
        """Per id of a path the number of its last pass."""

    def due(self, path: Path) -> bool:
        """Whether this pass, the next one of a line, is measured."""
        if len(self._passes) > 4096:
            self._passes.clear()
        number = self._passes[id(path)] = self._passes.get(id(path), -1) + 1
        return not number % self._stride

    def may_be_due(self) -> bool:
        """Whether the pass to come may be one that is measured, whatever its line."""
        stride = self._stride
        return stride == 1 or any(not (number + 1) % stride for number in self._passes.values())

    @property
    def _stride(self) -> int:
        """Of what the user and what the budget allow the less: both multiplied would measure next to nothing."""
        return max(self.every, self.budget.thinning)

    def measure(self, cohort: Cohort, grads: Sequence[torch.Tensor], *, wait: bool, own: bool) -> Measured:
        """Norms of the gradients of a cohort. `own`: these are they, and not what stands for them."""
        if cohort.plan is None and own:
            cohort.plan = Plan(grads)
        return Measured(grads, cohort.plan if own else None, wait=wait or on_cpu(grads))


def on_cpu(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether numbers can be read without waiting for a device."""
    return all(map(_is_cpu, tensors))


_is_cpu = operator.attrgetter("is_cpu")
