"""The tape: which value was computed from which, kept as numbers.

A value is one tensor at one version; an operation reads values and makes values. The tape holds weak
references only, so no tensor, graph or model lives longer because of it. It answers two questions that
autograd cannot: what a tensor depends on *without* gradient, and on which line that dependence began.
"""

from __future__ import annotations

import bisect
import weakref
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from gradscope.capture.source import EMPTY, Stack

LIMIT = 400_000
"""Values kept; beyond it tracing stops. About 100 MB."""


RECENT = 8
"""Backward passes back to which it is looked whether a loss contains an earlier one."""

_MOVES = ("state_dict", "deepcopy", "init", "load_state_dict")


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a memory, in elements."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    memory: int
    """Elements of the whole."""


@dataclass(slots=True, eq=False)
class Op:
    """One operation that was seen. Times are positions on the tape."""

    index: int
    name: str
    stack: Stack
    inputs: tuple[tuple[int, bool], ...]
    """(value, whether it required a gradient then)."""
    outputs: tuple[int, ...] = ()
    cause: str = ""
    """Why its outputs carry no gradient, where they do not."""
    blame: Stack = EMPTY
    """Where gradients were turned off, if they were."""
    scalars: bool = False
    """It was given a Python float or a position, which may have come out of a tensor."""
    module: int = -1
    call: int = -1
    """Which call of a module it ran in, counted over all modules."""
    escape: bool = False
    """Its result left torch."""
    summed: bool = False
    """A loss with reduction="sum"."""
    bad: str = ""
    """Why it made NaN or Inf out of finite values, if it did."""
    clock: int = 0
    region: Region | None = None
    """What it wrote in place without regard to what was there."""


@dataclass(slots=True, eq=False)
class Value:
    """One tensor at one version."""

    op: int
    """The operation that made it; -1 for what was there before or came from outside."""
    parents: tuple[tuple[int, bool], ...]
    """(value, whether a gradient goes back to it)."""
    requires: bool
    param: int = -1
    """uid, for a parameter."""
    floating: bool = True
    ndim: int = 0
    numel: int = 0
    size: float = 0.0
    """Largest absolute value; NaN or Inf if it held one."""
    half: bool = False

    @property
    def bad(self) -> str:
        """`nan` or `inf`, if it held one."""
        if self.size - self.size == 0.0:
            return ""
        return "nan" if self.size != self.size else "inf"


@dataclass(slots=True, eq=False)
class Root:
    """A value that `backward()` was called on."""

    value: int
    op: int
    clock: int
    backward: int


class BadData(NamedTuple):
    """A tensor of the user's that holds a NaN or Inf: name, shape and place in words, and where it came from."""

    words: str
    made: Stack = EMPTY


@dataclass(eq=False)
class Tape:
    """All values and operations of the traced part of a run."""

    ops: list[Op] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    """Number of operations before each optimizer step."""
    held: list[frozenset[int]] = field(default_factory=list)
    """Per such step: the parameters that the optimizer holds."""
    hooked: dict[int, Stack] = field(default_factory=dict)
    """Values whose gradient the user put a hook on, and where."""
    params: dict[int, list[int]] = field(default_factory=dict)
    """Per uid, the values that are versions of this parameter."""
    born: set[int] = field(default_factory=set)
    """Those of them that are no write to a parameter: an ordinary tensor that became one."""
    constant: set[int] = field(default_factory=set)
    """Operations whose result is the same whatever they are given."""
    bad_data: dict[int, BadData] = field(default_factory=dict)
    """Values that came with a NaN or Inf."""
    buffers: set[int] = field(default_factory=set)
    """Values that are buffers of a module."""
    full: bool = False
    _known: dict[int, tuple[weakref.ref[torch.Tensor], int]] = field(default_factory=dict)
    _memory: dict[int, tuple[object, int]] = field(default_factory=dict)
    _nodes: list[tuple[int, int]] = field(default_factory=list)
    """(first sequence number of the graph nodes an operation made, operation), ascending."""

    def find(self, tensor: torch.Tensor) -> int:
        """The value of a tensor seen before, or -1."""
        entry = self._known.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else -1

    def bind(self, tensor: torch.Tensor, value: int) -> None:
        self._known[id(tensor)] = (weakref.ref(tensor), value)

    def add(self, value: Value) -> int:
        self.values.append(value)
        if len(self.values) > LIMIT:
            self.full = True
        return len(self.values) - 1

    def remember_memory(self, holder: object, pointer: int, value: int) -> None:
        """Let a later tensor over the same memory be recognised, as long as the memory lives."""
        alive: object
        if isinstance(holder, torch.Tensor):
            try:
                alive = StorageWeakRef(holder.untyped_storage())  # type: ignore[no-untyped-call]
            except RuntimeError:  # the wrappers of torch.func have no memory of their own
                return
        else:
            alive = weakref.ref(holder)
        self._memory[pointer] = (alive, value)

    def find_memory(self, pointer: int) -> int:
        """The value whose memory begins at `pointer`, or -1."""
        entry = self._memory.get(pointer)
        if entry is None:
            return -1
        alive, value = entry
        if isinstance(alive, StorageWeakRef):
            return -1 if alive.expired() else value  # type: ignore[no-untyped-call]
        return value if alive() is not None else -1  # type: ignore[operator]

    def note_nodes(self, first: int, op: int) -> None:
        self._nodes.append((first, op))

    def forget_nodes(self) -> None:
        """Another thread is traced, and each counts its nodes for itself."""
        self._nodes.clear()

    def op_of_node(self, sequence: int) -> int:
        """The operation that made the graph node with this sequence number, or -1."""
        at = bisect.bisect_right(self._nodes, (sequence, len(self.ops))) - 1
        return self._nodes[at][1] if at >= 0 else -1

    def children(self) -> list[list[tuple[int, bool]]]:
        """Per value, what was computed from it: (value, whether a gradient comes back)."""
        down: list[list[tuple[int, bool]]] = [[] for _ in self.values]
        for index, value in enumerate(self.values):
            for parent, live in value.parents:
                down[parent].append((index, live))
        return down

    def read(self) -> frozenset[int]:
        """Parameters that a module computed with, or with a gradient to come back; not those that were only looked at.

        Moving and initialising them, averages and logged norms of weights are not meant.
        """
        versions = {version: uid for uid, held in self.params.items() for version in held}
        found: set[int] = set()
        for value in self.values:
            for parent, live in value.parents:
                uid = versions.get(parent, -1)
                if uid in found or uid < 0 or value.param == uid or value.op < 0:
                    continue
                if not live and self.ops[value.op].module < 0:
                    continue
                if not any(map(self.ops[value.op].stack.has, _MOVES)):
                    found.add(uid)
        return frozenset(found)

    def live(self) -> frozenset[int]:
        """Parameters from which an operation computed something that a gradient comes back from."""
        versions = {version: uid for uid, held in self.params.items() for version in held}
        return frozenset(
            versions[parent]
            for value in self.values
            if value.op >= 0
            for parent, live in value.parents
            if live and parent in versions
        )

    def contained(self, root: int) -> frozenset[int]:
        """Roots of the last backward passes that this one was computed from: they are gone through again."""
        recent = {r.value for r in self.roots[-RECENT:] if r.value != root}
        todo, seen = [root] if recent else [], {root}
        while todo and len(seen) < 5000:
            for parent, live in self.values[todo.pop()].parents:
                if live and parent not in seen:
                    seen.add(parent)
                    todo.append(parent)
        return frozenset(recent & seen)

    def required(self, value: int, parent: int) -> bool:
        """Whether `parent` required a gradient when `value` was computed from it."""
        op = self.values[value].op
        given = dict(self.ops[op].inputs) if op >= 0 else {}
        return given.get(parent, self.values[parent].requires)

    def forget_tensors(self) -> None:
        """Drop bookkeeping of tensors that are gone."""
        self._known = {key: entry for key, entry in self._known.items() if entry[0]() is not None}
