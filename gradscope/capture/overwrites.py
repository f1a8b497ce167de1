"""Overwrites: what was written in place over all of what a tensor, or a part of it, held before.

Autograd sends zeros to what was there. Which later line wrote over it is proved by memory: what an operation wrote is
kept as a region, and on the only way to the loss the regions of later writes have to cover it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gradscope.capture.backward import GraphWalk
from gradscope.capture.tape import Op, Region, Tape
from gradscope.capture.tensors import has_no_memory
from gradscope.capture.values import REPLACES

WRITES = {"__setitem__", *REPLACES} - {"data", "set_"}
"""In-place operations whose result holds nothing of what was there."""
LARGEST = 1 << 24
"""Elements of a memory that are looked at."""


@dataclass(frozen=True, slots=True)
class Overwrite:
    """`op` wrote over what `victim` had made."""

    op: Op
    victim: Op | None


def region_of(name: str, args: Any) -> Region | None:
    """The memory that an operation is about to fill anew; None where an index that is data decides."""
    if name not in WRITES or not args or not isinstance(args[0], torch.Tensor):
        return None
    target = args[0]
    if type(target) is not torch.Tensor or target.layout is not torch.strided or has_no_memory(target):
        return None
    memory = target.untyped_storage().nbytes() // target.element_size()
    target = target.detach()
    if name == "__setitem__":
        if len(args) < 3 or not _is_plain(args[1]):
            return None
        target = target[args[1]]
    return Region(tuple(target.shape), target.stride(), int(target.storage_offset()), memory)


def _is_plain(index: Any) -> bool:
    """Whether an index only takes a view: whole numbers, slices of them, Ellipsis and None."""
    if isinstance(index, tuple):
        return all(map(_is_plain, index))
    if isinstance(index, slice):
        return all(part is None or type(part) is int for part in (index.start, index.stop, index.step))
    return index is None or index is Ellipsis or type(index) is int


def overwritten(tape: Tape, graph: GraphWalk, number: int, operand: int) -> Overwrite | None:
    """Who wrote over what a node wrote, or wrote itself over all that was there."""
    at = tape.op_of_node(graph.steps[number].sequence)
    written = tape.ops[at].region if at >= 0 else None
    if written is None or written.memory > LARGEST:
        return None
    covered = torch.zeros(written.memory, dtype=torch.bool, device="cpu")
    over = operand == 0  # this write and those after it, over all that was there
    lost = covered if over else _part(covered, written)
    if over:
        _part(covered, written).fill_(True)
    while not bool(lost.all()):
        users = [user for user in graph.consumers[number] if graph.steps[user[0]].fired]
        if len(users) != 1 or users[0][1] != 0:
            return None
        number = users[0][0]
        later = tape.op_of_node(graph.steps[number].sequence)
        region = tape.ops[later].region if later >= 0 else None
        if region is None or region.memory != written.memory:
            return None
        _part(covered, region).fill_(True)
        if not over and bool(lost.all()):
            return Overwrite(tape.ops[later], tape.ops[at])
    return Overwrite(tape.ops[at], _before(tape, tape.ops[at]))


def _part(memory: torch.Tensor, region: Region) -> torch.Tensor:
    return memory.as_strided(region.shape, region.stride, region.offset)


def _before(tape: Tape, op: Op) -> Op | None:
    maker = tape.values[op.inputs[0][0]].op if op.inputs else -1
    return tape.ops[maker] if maker >= 0 else None
