"""What ranks tell each other when a report is asked for: short messages over the store of the process group.

* The store and not a collective: a rank that is dead, late or never asks cannot block the others, nor the training's
  own collectives; nothing is asked of the network of the devices.
* Nothing waits inside the store (its lock would hold up torch's own threads): it is asked now and then, until the time
  is up.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import torch

_numbers = itertools.count()
_MARGIN = 1.0
"""Seconds for putting the answers together."""
_FIRST, _LONGEST = 0.002, 0.2
"""Seconds between two looks: more and more, up to."""


def group_store() -> Any | None:
    """The store of the default process group; None if there is none, or this torch calls it otherwise."""
    group = torch.distributed
    if not group.is_available() or not group.is_initialized():
        return None
    get = getattr(group.distributed_c10d, "_get_default_store", None)
    return get() if get is not None else None


class Exchange:
    """One round in which every rank says one thing to rank 0, and rank 0 one thing to all."""

    def __init__(self, store: Any, rank: int, world: int, *, topic: str = "", timeout: float = 30.0) -> None:
        self._store, self.rank, self.world = store, rank, world
        self._topic = f"gradscope/{topic or next(_numbers)}"
        self._timeout = timeout
        self._end = time.monotonic() + timeout

    def hurry(self, seconds: float) -> None:
        """Wait no longer than that from now."""
        self._end = min(self._end, time.monotonic() + seconds)

    def say(self, body: bytes) -> None:
        """Tell rank 0, or as rank 0 nobody."""
        self._store.set(f"{self._topic}/{self.rank}", body)

    def said(self, ranks: Iterable[int | str]) -> Iterator[tuple[Any, bytes]]:
        """What these ranks say, as it comes, until all have or the time is up."""
        left, pause = list(ranks), _FIRST
        while left:
            here = [rank for rank in left if self._store.check([f"{self._topic}/{rank}"])]
            for rank in here:
                yield rank, self._take(f"{self._topic}/{rank}")
            left = [rank for rank in left if rank not in set(here)]
            if left and time.monotonic() >= self._end:
                return
            if left and not here:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST)

    def answer(self, body: bytes) -> None:
        """Tell all ranks."""
        self._store.set(f"{self._topic}/all", body)

    def answered(self) -> bytes | None:
        """What rank 0 told all; None if it did not in time. Once it has begun to ask, it has its own time for that."""
        if any(True for _ in self.said([0])):
            self._end = max(self._end, time.monotonic() + self._timeout + _MARGIN)
        return next((body for _, body in self.said(["all"])), None)

    def _take(self, key: str) -> bytes:
        # Checked before, so it is there; a short time-out all the same, of a clone of the setting alone.
        before = self._store.timeout
        self._store.set_timeout(timedelta(seconds=10))
        try:
            return bytes(self._store.get(key))
        finally:
            self._store.set_timeout(before)
