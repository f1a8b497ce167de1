"""Which module each operation of a live graph belongs to: autograd names operations and leaves, not modules.

* An operation that takes a parameter belongs to the module of that parameter; what comes between two of them to the
  modules they have in common; what comes after the last parameter of a model is outside of it.
* Of a parameter that several modules hold (tied weights) each use belongs to one of them: to the one that holds what
  else the operation takes, to the embedding if it looks up, else to one after another as the uses follow each other.
* Who computes with the weight of another in another way (`F.linear(code, encoder.weight.t())`) only borrows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Home = tuple[str, tuple[str, ...]]
"""Model, and module path inside it; ("", ()) is outside of all."""
OUTSIDE: Home = ("", ())

_TURNS = ("T", "Transpose", "Permute")
_MERE = (
    *_TURNS, "View", "UnsafeView", "Reshape", "Expand", "ToCopy", "Squeeze", "Unsqueeze", "Alias", "Clone",
)  # fmt: skip
"""Operations that hand a parameter on as it is: what takes their result takes the parameter."""
_PRODUCTS = ("Mm", "Addmm", "Bmm", "Baddbmm", "Mv", "Addmv")
_LOOKUPS = ("Embedding", "EmbeddingBag", "Convolution", "ConvTranspose")


@dataclass(frozen=True, slots=True)
class Holder:
    """A module that holds a parameter, and its class."""

    home: Home
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A parameter of one of the models, or of several modules: the first is the one it is drawn in."""

    holders: tuple[Holder, ...]
    name: str
    uid: int
    trainable: bool
    norm: float | None = None

    @property
    def home(self) -> Home:
        """Where it is drawn."""
        return self.holders[0].home

    @property
    def models(self) -> set[str]:
        """All that hold it."""
        return {holder.home[0] for holder in self.holders}


@dataclass(frozen=True, slots=True)
class Step:
    """A node of the autograd graph; `sources` are positions."""

    label: str
    sources: list[int]
    leaf: bool = False
    owner: Leaf | None = None

    @property
    def name(self) -> str:
        """The operation."""
        return self.label.rstrip("0123456789").removesuffix("Backward")


@dataclass(frozen=True, slots=True)
class _Loan:
    """A parameter as an operation gets it."""

    leaf: Leaf
    turned: bool = False

    def way(self, taker: str) -> str:
        """How an operation computes with it, "" where that says nothing of who does."""
        if taker in _PRODUCTS:
            return "turned" if self.turned else "product"
        return taker if taker in _LOOKUPS else ""


def homes_of(steps: Sequence[Step]) -> list[Home]:
    """Per node the module it belongs to."""
    order = _order(steps)
    loans = _loans(steps, order)
    takers = _takers(steps, order, loans)
    first = _first(takers)
    homes: list[Home] = [OUTSIDE] * len(steps)
    takes = [False] * len(steps)
    for at in order:
        step, loan = steps[at], loans[at]
        if loan is not None:
            homes[at], takes[at] = first.get(loan.leaf.uid, loan.leaf.home), step.owner is None
            continue
        own = [home for home in takers.get(at, {}).values() if home is not None]
        given = [homes[source] for source in step.sources if loans[source] is None]
        takes[at] = bool(own)
        homes[at] = _common(own or given or [homes[source] for source in step.sources])
    models = {home[0]: 1 << index for index, home in enumerate(dict.fromkeys(homes)) if home[0]}
    later = [0] * len(steps)
    for at in reversed(order):
        mine = later[at] | (models.get(homes[at][0], 0) if takes[at] else 0)
        for source in steps[at].sources:
            later[source] |= mine
        if steps[at].owner is None and not takes[at] and not later[at] & models.get(homes[at][0], 0):
            homes[at] = OUTSIDE
    return homes


def _loans(steps: Sequence[Step], order: Sequence[int]) -> list[_Loan | None]:
    """Per node the parameter that it is, or hands on as it is."""
    loans: list[_Loan | None] = [None] * len(steps)
    for at in order:
        step = steps[at]
        if step.owner is not None:
            loans[at] = _Loan(step.owner)
        elif len(step.sources) == 1 and step.name in _MERE and (loan := loans[step.sources[0]]) is not None:
            loans[at] = _Loan(loan.leaf, loan.turned ^ (step.name in _TURNS))
    return loans


def _takers(
    steps: Sequence[Step], order: Sequence[int], loans: Sequence[_Loan | None]
) -> dict[int, dict[int, Home | None]]:
    """Per operation that takes parameters, for each of them the module that does; None where it is borrowed."""
    lent = {
        at: taken
        for at in order
        if loans[at] is None and (taken := [loan for s in steps[at].sources if (loan := loans[s]) is not None])
    }
    unsure = _unsure(steps, order, lent)
    return {
        at: {
            (uid := loan.leaf.uid): unsure[uid].taker(at, steps[at].name, taken) if uid in unsure else loan.leaf.home
            for loan in taken
        }
        for at, taken in lent.items()
    }


def _first(takers: Mapping[int, Mapping[int, Home | None]]) -> dict[int, Home]:
    """Per parameter the module that takes it first: it is drawn there."""
    first: dict[int, Home] = {}
    for taken in takers.values():
        for uid, home in taken.items():
            if home is not None:
                first.setdefault(uid, home)
    return first


def _unsure(steps: Sequence[Step], order: Sequence[int], lent: Mapping[int, list[_Loan]]) -> dict[int, _Uses]:
    """The parameters that several modules hold, or that are computed with in several ways."""
    leaves: dict[int, Leaf] = {}
    ways: dict[int, dict[int, str]] = {}
    begun: dict[str, int] = {}
    for at, taken in lent.items():
        for loan in taken:
            leaves[loan.leaf.uid] = loan.leaf
            ways.setdefault(loan.leaf.uid, {})[at] = loan.way(steps[at].name)
            if len(loan.leaf.holders) == 1:
                begun.setdefault(loan.leaf.home[0], len(begun))
    found = {}
    for uid, leaf in leaves.items():
        if len(leaf.holders) > 1 or len({*ways[uid].values()} - {""}) > 1:
            homes = sorted((h.home for h in leaf.holders), key=lambda home: begun.get(home[0], len(begun)))
            found[uid] = _Uses(leaf, homes, ways[uid], _turns(steps, order, ways[uid]))
    return found


@dataclass(frozen=True, slots=True)
class _Uses:
    """A parameter of which it has to be found out who takes it: per use in which way, and how many came before."""

    leaf: Leaf
    homes: list[Home]
    """Of its holders, in the order in which their models are used."""
    ways: dict[int, str]
    turns: dict[int, int]

    def taker(self, at: int, name: str, taken: Sequence[_Loan]) -> Home | None:
        """The module that takes it here."""
        homes = self.homes
        if len(homes) == 1:
            first = {way for use, way in self.ways.items() if not self.turns[use]}
            return None if self.ways[at] and first - {""} and self.ways[at] not in first else homes[0]
        with_it = [{h.home for h in loan.leaf.holders} for loan in taken if loan.leaf.uid != self.leaf.uid]
        homes = [home for home in homes if all(home in others for others in with_it)] or homes
        lookups = {holder.home for holder in self.leaf.holders if "Embedding" in holder.kind}
        homes = [home for home in homes if (home in lookups) == ("Embedding" in name)] or homes
        return homes[self.turns[at] % len(homes)]


def _turns(steps: Sequence[Step], order: Sequence[int], uses: Mapping[int, str]) -> dict[int, int]:
    """Per use how many others its input has gone through."""
    gone = [0] * len(steps)
    for at in order:
        gone[at] = max((gone[source] + (source in uses) for source in steps[at].sources), default=0)
    return {at: gone[at] for at in uses}


def _order(steps: Sequence[Step]) -> list[int]:
    """Positions with every node behind its sources."""
    after: list[list[int]] = [[] for _ in steps]
    waiting = [len(step.sources) for step in steps]
    for at, step in enumerate(steps):
        for source in step.sources:
            after[source].append(at)
    order = [at for at, left in enumerate(waiting) if not left]
    for at in order:
        for following in after[at]:
            waiting[following] -= 1
            if not waiting[following]:
                order.append(following)
    return order


def _common(homes: list[Home]) -> Home:
    """The innermost module that all are in; outside if they are of several models."""
    models = {model for model, _ in homes}
    if len(models) != 1:
        return OUTSIDE
    first, last = min(homes)[1], max(homes)[1]
    shared = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return models.pop(), first[:shared]
