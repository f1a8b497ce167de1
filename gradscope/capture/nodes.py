"""Nodes and edges of the drawn graph while they grow, and what they are called."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gradscope.capture.places import Place
from gradscope.capture.sites import Site
from gradscope.capture.source import Stack, resolve
from gradscope.capture.tape import Op, Tape
from gradscope.capture.turns import Sizes
from gradscope.records import Edge, Location, Node, Owner, Parameter

_LOSS = re.compile(r"([A-Za-z_][\w.]*)\.backward\(|\.backward\(([A-Za-z_][\w.]*)\)")
_DUNDER = re.compile(r"__(?:r|i)?([a-z]+)__")
CONSTANT = {
    "zeros", "ones", "full", "arange", "eye", "linspace", "zeros_like", "ones_like", "full_like", "new_zeros",
    "new_ones", "new_full", "hann_window", "hamming_window", "scalar_tensor", "tril_indices", "triu_indices", "empty",
}  # fmt: skip
"""What these make is no data: it is not drawn."""
_PLAIN = {"getitem": "index", "truediv": "div", "setitem": "index_put"}


@dataclass(slots=True)
class Draft:
    """A node while it grows."""

    kind: str
    label: str
    model: str = ""
    module: str = ""
    live: bool = False
    norm: float | None = None
    location: Location | None = None
    uid: int | None = None

    def node(self, number: int) -> Node:
        return Node(
            number, self.kind, self.label, self.model, self.module, self.live, self.norm, self.location, self.uid
        )


def larger(norm: float | None, other: float | None) -> float | None:
    """The larger of two norms, of which either may not be known; NaN wins, because it is the news."""
    if norm is None or other is None:
        return other if norm is None else norm
    return norm if norm != norm or norm > other else other


@dataclass(slots=True)
class Line:
    """An edge while it grows."""

    live: bool = False
    norm: float | None = None
    total: float | None = None

    def came(self, norm: float | None, total: float | None) -> None:
        """A gradient came back along it."""
        self.live = True
        self.norm, self.total = larger(norm, self.norm), larger(total, self.total)


@dataclass(frozen=True, slots=True)
class CutLine:
    """An edge that is a cut: why and where, whether what went in required a gradient, and what came back."""

    site: Site
    requires: bool | None = None
    norm: float | None = None
    """Where a gradient did come back, and was worth nothing."""

    def edge(self, source: int, target: int) -> Edge:
        return Edge(source, target, False, self.norm, self.site.cause, self.site.location, requires=self.requires)


class Springs:
    """Where data came from: the first of its arguments, of that the first, and so on; a buffer only if all else is."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._known: dict[int, int] = {}

    def of(self, i: int) -> int:
        """The value that a value sprang from."""
        known, todo = self._known, [i]
        while todo:
            at = todo[-1]
            parents = [parent for parent, _ in self._tape.values[at].parents]
            new = next((p for p in parents if known.get(p, -1) not in self._tape.buffers), -1)
            if new >= 0 and new not in known:
                todo.append(new)
                continue
            known[at] = known[new if new >= 0 else parents[0]] if parents else at
            todo.pop()
        return known[i]


def draft_of(op: Op | None, place: Place | None, live: bool, sizes: Sizes) -> Draft:
    """The node of an operation: of the call of its module, if that is one thing."""
    if op is None:
        return Draft("op", "from outside torch", live=live)
    path = resolve(Stack(op.stack.frames[:1]))
    where = path[-1] if path else None
    norm = sizes.get(op.index) if live else None
    if place is None:
        return Draft("op", plain(op.name), live=live, norm=norm, location=where)
    if place.leaf:
        return Draft("module", place.class_name, place.watched.name, place.fqn, live, None, where)
    return Draft("op", plain(op.name), place.watched.name, place.fqn, live, norm, where)


def draft_of_parameter(parameter: Parameter, delivered: Mapping[int, float | None]) -> Draft:
    """The node of a parameter, in the model and module that its first name tells."""
    uid = parameter.uid
    owner = parameter.owners[0] if parameter.owners else Owner("", "")
    module, _, name = owner.fqn.rpartition(".")
    return Draft(
        "parameter", name or parameter.name, owner.model, module, uid in delivered, delivered.get(uid), uid=uid
    )


def worthless(norm: float | None) -> bool:
    """Whether a gradient of this norm trains nothing."""
    return norm is not None and (norm == 0.0 or not math.isfinite(norm))


def plain(name: str) -> str:
    """An operation as one would call it: `__radd__` is add."""
    found = _DUNDER.fullmatch(name)
    bare = found[1] if found else name.strip("_")
    return _PLAIN.get(bare, bare) or name


def loss_name(location: Location | None) -> str:
    """What the user calls the tensor that `backward()` was called on."""
    found = _LOSS.search(location.text) if location is not None else None
    return next((part for part in found.groups() if part), "loss") if found else "loss"
