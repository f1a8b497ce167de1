"""Facts for pictures: histograms, and the graph of one traced step. Part of the records, see the package."""

from __future__ import annotations

from dataclasses import dataclass

from gradscope.records.lines import Location


@dataclass(frozen=True, slots=True)
class Histogram:
    """Distribution of one parameter's gradient at one step, on a log2 axis.

    `counts[i]` is the number of entries with 2**(low + i) <= |g| < 2**(low + i + 1), first all negative
    entries, then (in `positive`) the positive ones; zeros and non-finite entries are counted apart.
    """

    uid: int
    step: int
    low: int
    negative: tuple[int, ...]
    positive: tuple[int, ...]
    zeros: int = 0
    nan: int = 0
    inf: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the drawn graph: a module, an operation, a parameter, a loss, or a cut."""

    id: int
    kind: str
    """`module`, `op`, `parameter`, `loss`, `input`."""
    label: str
    model: str = ""
    module: str = ""
    """fqn of the module it ran in, inside `model`; empty for glue code."""
    live: bool = True
    """The gradient of the loss passes here."""
    norm: float | None = None
    location: Location | None = None
    uid: int | None = None
    """Of a parameter."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Data went from `source` to `target` in the forward pass; `cut` names the cause where its gradient was lost.

    A cut with a `norm` let a gradient back that is worth nothing: zero, NaN or Inf.
    """

    source: int
    target: int
    live: bool = True
    norm: float | None = None
    cut: str = ""
    location: Location | None = None
    total: float | None = None
    """Norm of all that came back to what went along it, where others use that, too; `norm` is the part of this one."""
    requires: bool | None = None
    """Of a cut: whether what went in required a gradient; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One traced step, ready to be folded and drawn: forward direction, numbered deterministically."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    step: int = 0
    truncated: int = 0
    """How many nodes were left out because the step was too large to keep."""
    first: int | None = None
    """The first of the steps that are drawn together, if they are several; `step` is the last."""
