"""Updates: what a step of an optimizer changed, and how much of that was left when the next one began."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from gradscope.capture.norms import norms, numberless, unseen
from gradscope.capture.parameters import Registry

CLONE_LIMIT = 50_000_000
"""Elements of weights that are copied to compare one step; beyond it steps are not compared."""
ROUNDING = 1e-6
"""Update relative to the weight of which rounding leaves too little to say what became of it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one optimizer step did to the values of its parameters."""

    ratios: Mapping[int, float]
    weights: Mapping[int, float]
    unchanged: frozenset[int]
    moved: frozenset[int]


@dataclass(frozen=True, slots=True)
class Left:
    """How much of an update was left when the next step began."""

    kept: Mapping[int, float]
    bound: frozenset[int]
    """Of those that are what they were before the update, the ones all of whose elements are their least or largest:
    they may rest on a bound."""

    @property
    def least(self) -> float:
        return min(self.kept.values(), default=1.0)


@dataclass(frozen=True, slots=True)
class Updated:
    """A parameter that a step has changed."""

    uid: int
    ref: weakref.ref[torch.Tensor]
    before: torch.Tensor
    change: float
    """Norm of the update."""


class Snapshot:
    """The values of an optimizer's parameters before its step. Lives until its next one begins."""

    def __init__(self, optimizer: Any, registry: Registry) -> None:
        self.uids: list[int] = []
        self.params: list[torch.Tensor] = []
        self.before: list[torch.Tensor] = []
        self.partly: set[int] = set()
        """Parameters of which only a part is here."""
        self._updated: list[Updated] = []
        total = 0
        with unseen():
            for group in optimizer.param_groups:
                for param in group["params"]:
                    uid = registry.uid(param)
                    if uid < 0 or is_lazy(param) or numberless((param,)) or param.layout is not torch.strided:
                        continue
                    total += param.numel()
                    if total > CLONE_LIMIT:
                        return
                    value = getattr(param, "_local_tensor", param)
                    if value is not param:
                        self.partly.add(uid)
                    self.uids.append(uid)
                    self.params.append(value)
                    self.before.append(value.detach().clone())

    def compare(self, received: Mapping[int, float | None]) -> Changes:
        """Compare with the values now. `received`: who had a gradient at this step."""
        with unseen():
            change = [now.detach() - then for now, then in zip(self.params, self.before, strict=True)]
        changes = dict(zip(self.uids, norms(change), strict=True))
        sizes = dict(zip(self.uids, norms(self.before), strict=True))
        still = {uid for uid in self.partly if not changes[uid]}  # says nothing about the other parts
        weights = {uid: size for uid, size in sizes.items() if uid in received and uid not in still}
        self._updated = [
            Updated(uid, weakref.ref(now), then, changes[uid])
            for uid, now, then in zip(self.uids, self.params, self.before, strict=True)
            if uid in weights and uid not in self.partly and changes[uid] > ROUNDING * sizes[uid]
        ]
        self.params.clear()
        self.before.clear()
        return Changes(
            {uid: _ratio(changes[uid], size) for uid, size in weights.items()},
            weights,
            frozenset(uid for uid in weights if changes[uid] == 0.0),
            frozenset(uid for uid, moved in changes.items() if uid not in received and moved != 0.0),
        )

    def left(self) -> Left:
        """Compare what the step was to change with the values now that the next one begins."""
        now = {u.uid: t for u in self._updated if (t := u.ref()) is not None and _comparable(t, u.before)}
        updated = [u for u in self._updated if u.uid in now]
        with unseen():
            moved = norms([now[u.uid].detach() - u.before for u in updated])
            kept = {u.uid: moved / u.change for u, moved in zip(updated, moved, strict=True)}
            bound = frozenset(u.uid for u in updated if not kept[u.uid] and _may_be_bound(u.before))
        return Left({uid: share for uid, share in kept.items() if math.isfinite(share)}, bound)


def _comparable(one: torch.Tensor, other: torch.Tensor) -> bool:
    return (one.shape, one.dtype, one.device, one.layout) == (other.shape, other.dtype, other.device, other.layout)


def _may_be_bound(value: torch.Tensor) -> bool:
    if value.is_complex():
        return False
    return bool(((value == value.amin()) | (value == value.amax())).all())


def _ratio(change: float, size: float) -> float:
    if size:
        return change / size
    return float("inf") if change else 0.0
