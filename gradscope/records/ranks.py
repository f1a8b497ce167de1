"""One job of many processes: what each rank did, and each parameter over all ranks. Part of the records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RankRow:
    """One rank, as far as it was heard."""

    rank: int
    host: str = ""
    steps: int = 0
    backwards: int = 0
    received: int = 0
    """Parameters to which its own backward passes delivered a gradient."""
    norm: float | None = None
    """2-norm over the last gradients of its own, before any averaging."""
    missing: str = ""
    """Why nothing is known of it, or not all."""


@dataclass(frozen=True, slots=True)
class Across:
    """One parameter over all ranks that were heard. `first` lists name a few ranks, never all of thousands."""

    name: str
    """`model.fqn`."""
    ranks: int
    """How many hold it."""
    received: int
    """How many of them had a gradient of their own."""
    first_without: tuple[int, ...] = ()
    parts: int = 1
    """Into how many parts it is split; 0 if that cannot be said."""
    norm: float | None = None
    """Of a split parameter: the 2-norm of its whole last gradient."""
    zero: int = 0
    """Ranks on which each measured gradient was zero."""
    nonfinite: int = 0
    first_nonfinite: tuple[int, ...] = ()
    passes: tuple[int, int] = (0, 0)
    """Fewest and most backward passes that reached it on a rank."""
    local: tuple[float, float] | None = None
    """Smallest and largest last norm of a rank's own gradient."""
    applied: tuple[float, float] | None = None
    """The same of what optimizers were given at one step that all these ranks measured."""
    applied_ranks: tuple[int, int] = (0, 0)
    """The ranks of these two."""


@dataclass(frozen=True, slots=True)
class Job:
    """All ranks of one run."""

    world: int
    rows: tuple[RankRow, ...]
    """Every rank, in order."""
    parameters: tuple[Across, ...] = ()
    reporter: int = 0
    """The rank whose own facts the rest of the report tells."""

    @property
    def heard(self) -> int:
        """How many ranks something is known of."""
        return sum(not row.missing or row.backwards > 0 for row in self.rows)
