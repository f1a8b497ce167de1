"""Buffers: what a module holds beside its parameters (running averages, tables, masks). They are no data."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from torch import nn

from gradscope.capture.tape import Tape


def note_buffers(tape: Tape, modules: Iterable[weakref.ref[nn.Module]]) -> None:
    """Tell the tape which of its values are buffers of these modules, as they were before the first operation."""
    for reference in modules:
        module = reference()
        for tensor in module.buffers(recurse=False) if module is not None else ():
            value = tape.find(tensor)
            if value >= 0:
                tape.buffers.add(_first(tape, value))


def _first(tape: Tape, at: int) -> int:
    """What a value was before all that was written into it in place."""
    while (made := tape.values[at]).parents and made.op >= 0 and tape.ops[made.op].name.endswith("_"):
        at = made.parents[0][0]
    return at
