"""A sample of what falls out of the middle of the log: spread over the whole run, of bounded size.

* Of each block of 2, 4, 8, ... numbers one is kept, at a place that looks random, so that no rhythm of the user's loop
  (a generator trained at every second pass) meets it. Kept at one width, it is a candidate at the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Sample(Generic[T]):
    """At most `most` events, and about `numbers` numbers in them."""

    size: Callable[[T], int]
    """How many numbers an event keeps."""
    most: int
    numbers: int
    level: int = 0
    """One of 2**level is kept."""
    kept: list[tuple[int, T]] = field(default_factory=list)
    _numbers: int = 0

    def add(self, number: int, event: T) -> None:
        """Take the event with this number, or let it go. Numbers come in rising order."""
        if not all(_chosen(number, level) for level in range(1, self.level + 1)):
            return
        self.kept.append((number, event))
        self._numbers += self.size(event)
        while len(self.kept) > 1 and (len(self.kept) > self.most or self._numbers > self.numbers):
            self.level += 1
            self.kept = [(n, e) for n, e in self.kept if _chosen(n, self.level)]
            self._numbers = sum(self.size(e) for _, e in self.kept)


def _chosen(number: int, level: int) -> bool:
    """Whether a number lies in the half of its block of 2**level that is kept."""
    mixed = ((number >> level) * 0x9E3779B1 + level * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return (number >> (level - 1)) & 1 == (mixed >> 16) & 1
