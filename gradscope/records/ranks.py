"""One job of many processes: what each rank did, and each parameter over all ranks. Part of the records."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.records.lines import Location, Path
from gradscope.records.traced import Origin


@dataclass(frozen=True, slots=True)
class Averaged:
    """How a DistributedDataParallel that holds a parameter was called last, in a traced step."""

    missed: str = ""
    """Why that call averages nothing: "past" the wrapper, or inside its "no_sync"; empty if it does."""
    path: Path = ()
    """Then the line of the call."""


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

    @property
    def known(self) -> bool:
        """Whether its counts are what it did, not the lack of them."""
        return not self.missing or self.steps > 0 or self.backwards > 0


@dataclass(frozen=True, slots=True)
class Lack:
    """Why parameters get no gradient on a rank, as that rank traced it."""

    cause: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A finding that a rank has about its own facts. The fields are those of a Finding, as plain words."""

    code: str
    severity: str
    model: str
    parameters: tuple[str, ...]
    state: str
    cause: str
    evidence: str
    message: str
    fix: str
    location: Location | None = None
    path: Path = ()
    steps: tuple[int, int] | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What several ranks find alike, as the first of them tells it; `first` names a few."""

    told: Told
    first: tuple[int, ...]
    ranks: int


@dataclass(frozen=True, slots=True)
class Across:
    """One parameter over all ranks that were heard. `first` lists name a few ranks, never all of thousands."""

    name: str
    """`model.fqn`."""
    ranks: int
    """How many hold it, of those that ran a backward pass at all."""
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
    """Those at which it was earliest."""
    nonfinite_step: int | None = None
    """The step at which it was, on the ranks where it was earliest."""
    nonfinite_begins: int = 0
    """How many ranks those are."""
    measured: bool = True
    """Every rank measured each of its passes, so that what came earlier on which is known."""
    stopped: int = 0
    """Ranks that had a gradient in each backward pass but their last."""
    first_stopped: tuple[int, ...] = ()
    steady: bool = False
    """No rank was ever without one before its last pass."""
    passes: tuple[int, int] = (0, 0)
    """Fewest and most backward passes that reached it on a rank."""
    local: tuple[float, float] | None = None
    """Smallest and largest last norm of a rank's own gradient."""
    applied: tuple[float, float] | None = None
    """The same of what optimizers were given at one step that all these ranks measured."""
    applied_ranks: tuple[int, int] = (0, 0)
    """The ranks of these two."""
    same_size: bool = True
    """It has as many entries on each rank: of different ones, none is a copy of another."""
    lack: Lack | None = None
    """Why the first of those without a gradient has none, if that was seen there."""
    written: int = 0
    """Ranks on which something else than an optimizer writes to it: an average of weights, a broadcast."""
    used: Location | None = None
    """The line that computes with it on the first rank that told one."""
    user: int = -1
    """That rank."""


_SPOKE = ("it failed", "it was told", "it was still")
"""How that begins which a rank says of itself."""


@dataclass(frozen=True, slots=True)
class Job:
    """All ranks of one run."""

    world: int
    rows: tuple[RankRow, ...]
    """Every rank, in order."""
    parameters: tuple[Across, ...] = ()
    reporter: int = 0
    """The rank whose own facts the rest of the report tells."""
    origin: Origin | None = None
    """Where a NaN or Inf began, as the rank saw it that had it first; the parameters are left out."""
    origin_rank: int = 0
    stages: bool = False
    """Some ranks train a stage of a pipeline."""
    elsewhere: tuple[Elsewhere, ...] = ()
    """What ranks find in their own facts, also the one that reports."""

    @property
    def heard(self) -> int:
        """How many ranks something is known of."""
        return sum(not row.missing or row.backwards > 0 for row in self.rows)

    @property
    def unheard(self) -> RankRow | None:
        """A rank that did not come to its end, if there is one: the likeliest reason of the others' first.

        One that never said a word was killed, mostly; one that failed may have failed as its neighbour was gone, or
        as it waited too long for one that had not come as far.
        """
        rows = [row for row in self.rows if row.missing]
        gone = [row for row in rows if not row.missing.startswith(_SPOKE)]
        failed = [row for row in rows if row.missing.startswith("it failed")]
        reached = max((row.backwards for row in failed), default=0)
        behind = [row for row in rows if row not in gone and row not in failed and row.backwards < reached]
        return next(iter([*gone, *behind, *failed, *rows]), None)
