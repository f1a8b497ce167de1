"""What an optimizer found at its last step; mostly it finds the same again."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gradscope.capture.events import StepKind
from gradscope.capture.parameters import Registry
from gradscope.records.columns import Cohort


@dataclass(slots=True, eq=False)
class Usual:
    """Which of its parameters had a gradient, and which required one."""

    uids: tuple[int, ...]
    present: list[bool]
    trainable: list[bool]
    cohort: Cohort
    kind: StepKind


class UsualSteps:
    """Per optimizer what its last step found."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._last: dict[int, Usual] = {}

    def whole(self, optimizer: int, uids: tuple[int, ...]) -> Usual | None:
        """The last step, if all of these had a gradient and required one: where a pass left all, it is so again."""
        usual = self._last.get(optimizer)
        if usual is None or usual.uids is not uids:
            return None
        return usual if len(usual.kind.present) == len(usual.kind.trainable) == len(uids) else None

    def find(
        self, optimizer: int, uids: tuple[int, ...], params: list[torch.Tensor], grads: list[torch.Tensor | None]
    ) -> Usual:
        """What this step finds; the same object if it is what the last one found."""
        present = [grad is not None for grad in grads]
        trainable = [param.requires_grad for param in params]
        usual = self._last.get(optimizer)
        if usual is None or usual.uids is not uids or usual.present != present or usual.trainable != trainable:
            cohort = Cohort(u for u, there in zip(uids, present, strict=True) if there)
            can = frozenset(u for u, there in zip(uids, trainable, strict=True) if there)
            usual = self._last[optimizer] = Usual(
                uids, present, trainable, cohort, StepKind(uids, cohort.everyone, can)
            )
            for u in can:
                self._registry.entries[u].thawed = True
        return usual
