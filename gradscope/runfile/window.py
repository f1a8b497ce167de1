"""Which steps of a long run are loaded: the newest half of the budget whole, the older ones thinned evenly."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Window:
    """Takes the packed steps in order and keeps no more of them than a number of bytes."""

    def __init__(self, budget: int) -> None:
        self._half = budget // 2
        self._new: deque[tuple[int, bytes]] = deque()
        self._old: list[tuple[int, bytes]] = []
        self._new_size = self._old_size = 0
        self.stride = 1
        """Of the older steps every so many-th is kept."""

    def add(self, step: int, body: bytes) -> None:
        self._new.append((step, body))
        self._new_size += len(body)
        while self._new_size > self._half and len(self._new) > 1:
            self._retire(*self._new.popleft())

    def _retire(self, step: int, body: bytes) -> None:
        self._new_size -= len(body)
        if step % self.stride == 0:
            self._old.append((step, body))
            self._old_size += len(body)
        while self._old_size > self._half and self._old:
            self.stride *= 2
            self._old = [(kept, content) for kept, content in self._old if kept % self.stride == 0]
            self._old_size = sum(len(content) for _, content in self._old)
            if len(self._old) == 1 and self._old_size > self._half:
                self._old, self._old_size = [], 0

    def bodies(self) -> Iterator[bytes]:
        """The kept steps in order."""
        for _, body in (*self._old, *self._new):
            yield body
