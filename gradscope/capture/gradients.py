"""The gradients themselves: which tensor is whose, since when, and what became of it between two looks.

Nothing tells that gradients were cleared. But `.grad` is another tensor afterwards, or the same one with a version
that went up by more than the one of accumulating. Tracing sees the calls themselves; then only that is believed.
"""

from __future__ import annotations

import dataclasses
import gc
import threading
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


_NOTHING = Fate()


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
        same = [ref is not None and ref() is grad for ref, grad in zip(map(refs.get, uids), grads, strict=True)]
        if told:
            fate = self._cleared_elsewhere(uids, grads, same) if threading.active_count() > 1 else Fate()
            fate = dataclasses.replace(fate, added=frozenset(holding.intersection(uids) - fate.gone - fate.zeroed))
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

    def _cleared_elsewhere(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None], same: list[bool]) -> Fate:
        """What another thread cleared, which nobody tells: only what can be nothing else."""
        gone, zeroed = set[int](), set[int]()
        for uid, grad, kept in zip(uids, grads, same, strict=True) if self.holding.intersection(uids) else ():
            if uid not in self.holding or grad is None or uid not in self._refs:
                continue
            if not kept and not grad.requires_grad and not grad.is_sparse:  # these are added to out of place
                gone.add(uid)
            elif kept and uid not in self._fresh and grad._version - self._versions[uid] > 1:
                zeroed.add(uid)
        return Fate(gone=frozenset(gone), zeroed=frozenset(zeroed))

    def seen(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> tuple[Fate, list[int]]:
        """Gradients as an optimizer finds them: those gone or zeroed, and those that came from elsewhere.

        What arrived since the last step may have been clipped; what did not, and was written to, was zeroed.
        """
        holding, versions, fresh, refs = self.holding, self._versions, self._fresh, self._refs
        here = False not in [
            r is not None and g is not None and r() is g for r, g in zip(map(refs.get, uids), grads, strict=True)
        ]
        if here and fresh.issuperset(uids) and holding.issuperset(uids):
            return _NOTHING, []
        gone = [uid for uid, grad in zip(uids, grads, strict=True) if grad is None and uid in holding]
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
        refs, versions = self._refs, self._versions
        if [grad._version for grad in grads] != list(map(versions.get, uids)):
            return False
        return False not in [r is not None and r() is g for r, g in zip(map(refs.get, uids), grads, strict=True)]

    def note(self, uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> None:
        """Remember gradients, as they are now."""
        self._owners = None
        there = _there(uids, grads)
        self._refs.update(zip(there[0], map(weakref.ref, there[1]), strict=True))
        self._versions.update(zip(there[0], [grad._version for grad in there[1]], strict=True))

    def accept(self, uids: Sequence[int]) -> None:
        """They were applied or averaged: what was written to them so far is no news; they are the tensors they were."""
        self._fresh.difference_update(uids)
        refs = self._refs
        grads = [ref() if ref is not None else None for ref in map(refs.get, uids)]
        there = _there(uids, grads)
        self._versions.update(zip(there[0], [grad._version for grad in there[1]], strict=True))

    def owner(self, tensor: torch.Tensor) -> int:
        """The parameter whose gradient a tensor is, or -1."""
        if self._owners is None:
            self._owners = {id(grad): uid for uid, ref in self._refs.items() if (grad := ref()) is not None}
        uid = self._owners.get(id(tensor), -1)
        return uid if uid >= 0 and self._refs[uid]() is tensor else -1

    def clear(self) -> None:
        self._refs.clear()
        self._owners = None


def _there(uids: Sequence[int], grads: Sequence[torch.Tensor | None]) -> tuple[Sequence[int], Sequence[torch.Tensor]]:
    """Those with a gradient; mostly all."""
    found = [grad for grad in grads if grad is not None]
    if len(found) == len(grads):
        return uids, found
    return [uid for uid, grad in zip(uids, grads, strict=True) if grad is not None], found
