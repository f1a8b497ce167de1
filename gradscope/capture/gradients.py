"""The gradients themselves: which tensor is whose, since when, and what became of it between two looks.

Nothing tells that gradients were cleared. But `.grad` is another tensor afterwards, or the same one with a version
that went up by more than the one of accumulating. Tracing sees the calls themselves; then only that is believed.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Fate:
    """What happened to gradients that were there before: added to, replaced after being None, zeroed in place."""

    added: frozenset[int] = NONE
    gone: frozenset[int] = NONE
    zeroed: frozenset[int] = NONE


@contextmanager
def no_collection() -> Iterator[None]:
    """Look at many gradients without the garbage collector looking at each of them, too."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Gradients:
    """The gradient tensors that were last seen, by parameter; weak references only."""

    def __init__(self) -> None:
        self.holding: set[int] = set()
        """Parameters that have a gradient as far as is known."""
        self._refs: dict[int, weakref.ref[torch.Tensor]] = {}
        self._versions: dict[int, int] = {}
        self._fresh: set[int] = set()
        """Parameters that received something since an optimizer last applied it."""
        self._owners: dict[int, int] | None = None

    def arrived(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None], *, told: bool) -> Fate:
        """Gradients after a backward pass. `told`: whether clearing has been told."""
        refs, versions, holding = self._refs, self._versions, self.holding
        added: list[int] = []
        zeroed: list[int] = []
        before = [refs.get(uid) for uid in uids]
        same = [ref is not None and ref() is grad for ref, grad in zip(before, grads, strict=True)]
        if told:
            fate = Fate(frozenset(holding.intersection(uids)))
        else:
            for uid, grad, kept in zip(uids, grads, same, strict=True) if any(same) else ():
                if kept and grad is not None and uid in holding:
                    (added if grad._version - versions[uid] <= 1 else zeroed).append(uid)
            gone = holding.intersection(uids).difference(added, zeroed)
            fate = Fate(frozenset(added), frozenset(gone), frozenset(zeroed))
        holding.update(uids)
        self._fresh.update(uids)
        self.note(uids, grads)
        return fate

    def seen(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> tuple[Fate, list[int]]:
        """Gradients as an optimizer finds them: those gone or zeroed, and those that came from elsewhere.

        What arrived since the last step may have been clipped; what did not, and was written to, was zeroed.
        """
        holding, versions, fresh = self.holding, self._versions, self._fresh
        gone = [uid for uid, grad in zip(uids, grads, strict=True) if grad is None and uid in holding]
        refs = self._refs
        strange = [
            uid
            for uid, grad in zip(uids, grads, strict=True)
            if grad is not None and (uid not in holding or ((ref := refs.get(uid)) is not None and ref() is not grad))
        ]
        zeroed = [
            uid
            for uid, grad in (zip(uids, grads, strict=True) if not fresh.issuperset(uids) else ())
            if uid not in fresh and grad is not None and uid in holding and grad._version != versions.get(uid)
        ]
        return Fate(gone=frozenset(gone), zeroed=frozenset(zeroed).difference(strange)), strange

    def compared(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> Fate:
        """Gradients between two steps: None or another tensor is gone, written to is zeroed."""
        gone, zeroed = [], []
        for uid, grad in zip(uids, grads, strict=True):
            ref = self._refs.get(uid)
            if grad is None or ref is None or ref() is not grad:
                gone.append(uid)
            elif grad._version != self._versions[uid]:
                zeroed.append(uid)
        return Fate(gone=frozenset(gone), zeroed=frozenset(zeroed))

    def untouched(self, uids: Sequence[int], grads: Sequence[torch.Tensor]) -> bool:
        """Whether all are just what the last backward pass left."""
        versions = self._versions
        return [g._version for g in grads] == [versions.get(uid, -1) for uid in uids] and all(
            (ref := self._refs.get(uid)) is not None and ref() is g for uid, g in zip(uids, grads, strict=True)
        )

    def note(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> None:
        """Remember gradients, as they are now."""
        self._owners = None
        there = [(uid, grad) for uid, grad in zip(uids, grads, strict=True) if grad is not None]
        self._refs.update([(uid, weakref.ref(grad)) for uid, grad in there])
        self._versions.update([(uid, grad._version) for uid, grad in there])

    def versions(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> None:
        """Applied: remember how often gradients have been written to; they are the tensors they were."""
        self._fresh.difference_update(uids)
        self._versions.update([(u, g._version) for u, g in zip(uids, grads, strict=True) if g is not None])

    def owner(self, tensor: torch.Tensor) -> int:
        """The parameter whose gradient a tensor is, or -1."""
        if self._owners is None:
            self._owners = {id(grad): uid for uid, ref in self._refs.items() if (grad := ref()) is not None}
        uid = self._owners.get(id(tensor), -1)
        return uid if uid >= 0 and self._refs[uid]() is tensor else -1

    def clear(self) -> None:
        self._refs.clear()
        self._owners = None
