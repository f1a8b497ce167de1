"""What the passes of the drawn turn were seen to bring back: to parameters, to the results of operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gradscope.capture.nodes import larger, worthless
from gradscope.capture.sites import Site, Sites
from gradscope.capture.tape import Tape
from gradscope.capture.turns import Measured, Sizes, Turn


@dataclass(frozen=True, slots=True)
class Came:
    """Gradients that came, by value of the tape."""

    tape: Tape
    sites: Sites
    delivered: Mapping[int, float | None]
    passes: tuple[tuple[Measured, frozenset[int]], ...]
    """What each brought, and the operations whose result had several users in it."""
    sizes: Sizes
    """The largest that any pass brought; one that brought something is believed."""
    shared: frozenset[int]
    """Operations whose result has several users that send a gradient back, in one pass or in several."""
    lent: frozenset[int]
    """Parameters that have several users in one pass."""

    @classmethod
    def of(cls, tape: Tape, sites: Sites, turn: Turn, measured: Mapping[int, Measured]) -> Came:
        """Put the passes of a turn together."""
        known = [measured[each.event.index] for each in turn.passes if each.event.index in measured]
        passes = tuple((each, frozenset(maker for _, maker in each.shares)) for each in known)
        sizes: dict[int, float | None] = {}
        shared = set[int]()
        for each, split in passes:
            shared |= split | (each.sizes.keys() & sizes.keys())
            sizes.update({op: larger(n, sizes.get(op)) for op, n in each.sizes.items()})
        lent = frozenset(uid for each in known for _, uid in each.lent)
        return cls(tape, sites, turn.delivered(), passes, sizes, frozenset(shared), lent)

    @property
    def silent_ops(self) -> set[int]:
        """Operations to whose results nothing came, connected though they are."""
        return {op for op, norm in self.sizes.items() if norm is None}

    def norm(self, i: int) -> float | None:
        """Of the gradient that came to a value."""
        value = self.tape.values[i]
        return self.delivered.get(value.param) if value.param >= 0 else self.sizes.get(value.op)

    def share(self, user: int, i: int) -> float | None:
        """Of the gradient that came back to a value from one operation that uses it; None if that is not known."""
        maker, uid = self.tape.values[i].op, self.tape.values[i].param
        found: float | None = None
        if uid >= 0 and uid in self.lent:
            for each, _ in self.passes:
                found = larger(each.lent.get((user, uid)), found)
            return found
        if uid >= 0 or maker not in self.shared:
            return self.norm(i)
        for each, split in self.passes:
            if maker in split:
                found = larger(each.shares.get((user, maker)), found)
            elif user in each.sizes:
                found = larger(each.sizes.get(maker), found)
        return found

    def is_silent(self, i: int) -> bool:
        """The passes of the turn were seen to bring no gradient to this result, connected though it is."""
        op = self.tape.values[i].op
        return self.tape.values[i].param < 0 and op in self.sizes and self.sizes[op] is None

    def spoilt(self, op: int, parent: int) -> Site | None:
        """Why what came back from an operation to `parent` is nothing or worth nothing.

        A user's own function has no operation: it is known by the one before.
        """
        if self.is_silent(parent):
            return self.sites.spoilt.get(op) or self.sites.spoilt.get(self.tape.values[parent].op)
        return self.sites.spoilt.get(op) if worthless(self.norm(parent)) else None

    def cut(self, op: int, parent: int) -> Site | None:
        """The cut at an operation; where the backward of the user's function was seen to end it, that is told."""
        site = self.sites.at.get(op)
        seen = self.spoilt(op, parent) if site is not None and self.is_silent(parent) else None
        return seen if site is not None and seen is not None and seen.cause == site.cause else site
