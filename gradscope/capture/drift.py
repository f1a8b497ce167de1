"""Drift: parameters that no optimizer holds and whose values change all the same.

Not every update goes through `torch.optim`: some are written by hand, by a class of the user's own, or copied from
weights of higher precision. That such a parameter is "never updated" would be wrong. It is found out by comparing
values at the same few steps at which updates are sampled.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from gradscope.capture.norms import norms, unseen
from gradscope.capture.parameters import Registry

LIMIT = 50_000_000
"""Elements that are copied to compare them; what is beyond is not compared."""
ROUNDING = 1e-7
"""Change relative to the value that may be rounding: float32 resolves 1.2e-7."""


class Drift:
    """The values of loose parameters when they were last looked at."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._before: dict[int, torch.Tensor] = {}

    def look(self, uids: Iterable[int]) -> None:
        """Compare these with what they were at the last look."""
        now = {u: t for u in uids if (t := self.registry.tensor(u)) is not None and t.layout is torch.strided}
        with unseen():
            both = [u for u, t in now.items() if u in self._before and self._before[u].shape == t.shape]
            both = [
                u for u in both if self._before[u].dtype == now[u].dtype and self._before[u].device == now[u].device
            ]
            moved = norms([now[u].detach() - self._before[u] for u in both])
            for uid, change, size in zip(both, moved, norms([self._before[u] for u in both]), strict=True):
                self.registry.entries[uid].drifts += change > ROUNDING * size
            self._before.clear()
            total = 0
            for uid, tensor in now.items():
                total += tensor.numel()
                if total > LIMIT:
                    return
                self._before[uid] = tensor.detach().clone()
