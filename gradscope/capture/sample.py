"""A sample of what falls out of the middle of the log: spread over the whole run, of bounded size.

* Of the events in each block of 2, 4, 8, ... numbers one is kept, at a place that looks random, so that no rhythm of
  the user's loop (a generator trained at every second pass) meets it. Of two blocks that become one the same half
  is chosen whenever it is asked; a half without events is never chosen, so what comes seldom is kept for longer.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
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
        """Take the event with this number, or let it go. Numbers never fall; events of one number stay together."""
        self._take(number, event)
        self.trim()

    def trim(self) -> None:
        """Keep no more than may be kept."""
        while len(self.kept) > 1 and (len(self.kept) > self.most or self._numbers > self.numbers):
            self.level += 1
            before, self.kept, self._numbers = self.kept, [], 0
            for each in before:
                self._take(*each)

    def _take(self, number: int, event: T) -> None:
        while self.kept and (last := self.kept[-1][0]) != number and last >> self.level == number >> self.level:
            if not _chosen(number, (number ^ last).bit_length()):
                return
            self._numbers -= self.size(self.kept.pop()[1])
        self.kept.append((number, event))
        self._numbers += self.size(event)


APART = 8
"""Kinds with a sample of their own; what else there is shares one."""


@dataclass(eq=False, slots=True)
class Samples(Generic[T]):
    """A sample of each kind; they share what may be kept, so that what comes seldom is not lost to what is usual."""

    size: Callable[[T], int]
    most: int
    numbers: int
    _of: dict[Hashable, Sample[T]] = field(default_factory=dict)

    def add(self, kind: Hashable, number: int, event: T) -> None:
        """Take an event of some kind, or let it go."""
        if kind not in self._of and len(self._of) >= APART:
            kind = "others"
        if kind not in self._of:
            self._of[kind] = Sample(self.size, 0, 0)
            for sample in self._of.values():
                sample.most, sample.numbers = self.most // len(self._of), self.numbers // len(self._of)
                sample.trim()
        self._of[kind].add(number, event)

    @property
    def kept(self) -> list[tuple[int, T]]:
        return [each for sample in self._of.values() for each in sample.kept]


def _chosen(number: int, level: int) -> bool:
    """Whether a number lies in the half of its block of 2**level that is preferred."""
    mixed = ((number >> level) * 0x9E3779B1 + level * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return (number >> (level - 1)) & 1 == (mixed >> 16) & 1
