"""Candidates for what cut the gradient of a parameter, and the facts that are made of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from types import CodeType
from typing import TypeAlias

from gradscope.capture.cut_causes import how_off
from gradscope.capture.source import EMPTY, THIRD_PARTY, Stack, library_line, line_of, resolve
from gradscope.capture.tape import Op
from gradscope.records import KEPT, Cut

TARGET = 950
"""Rank of what made a target; from there on it is likely that no gradient was meant to pass."""
Frames: TypeAlias = "tuple[tuple[CodeType, int], ...]"


@dataclass(slots=True)
class Candidate:
    """One possible culprit for one parameter."""

    cause: str
    stack: Stack
    op: Op | None
    rank: int
    evidence: str = "traced"
    detail: str = ""
    far: int = 0
    """Operations from it to the loss."""
    value: int = -1
    """What was computed without gradient."""
    source: int = -1
    """Out of what."""
    serial: bool = False
    """It cuts again what another has cut."""
    once: bool = False
    """It cut before the first backward pass, and never again."""
    kept: bool = False
    """The parameters computed nothing since their last gradient: what they had made is used again."""
    detached: str = ""
    """How a `detach()` came about, where that is known."""

    @property
    def order(self) -> tuple[int, int, int]:
        return self.rank, self.far, self.when

    @property
    def place(self) -> tuple[object, ...]:
        lines = [(code, line_of(code, at)) for code, at in self.stack.frames[:1]]  # a call has several instructions
        return self.cause, *lines, self.serial, self.how

    @property
    def likely(self) -> bool:
        """Whether it may well be a mistake: the same place can be one for one model, and meant for another."""
        return self.rank < TARGET

    @property
    def how(self) -> str:
        return KEPT if self.kept else how_off(self.cause, self.op)

    @property
    def when(self) -> int:
        return self.op.index if self.op else 0


def lead_there(candidate: Candidate, ways: list[set[Frames]]) -> None:
    """Of a line that parameters come to from several callers, name a caller from which all do, or none."""
    frames = candidate.stack.frames
    shared = set.intersection(*ways)
    if frames in shared:
        return
    if shared:
        same = min(shared, key=lambda way: [(code.co_filename, code.co_firstlineno, at) for code, at in way])
    else:
        columns = zip(*(way for each in ways for way in each), strict=False)
        same = tuple(column[0] for column in itertools.takewhile(lambda column: len(set(column)) == 1, columns))
    candidate.stack = Stack(same, candidate.stack.marks)


def record(
    candidate: Candidate, uids: frozenset[int], direct: frozenset[int] | None = None, into: Iterable[int] = ()
) -> Cut:
    """The fact that these parameters were cut there; all of them directly, if it is not said which."""
    op = candidate.op
    library = library_line(op.stack) if op is not None else ""
    stack = candidate.stack if candidate.stack.frames else (op.stack if op is not None else EMPTY)
    return Cut(
        candidate.cause, uids, resolve(stack), op.name if op is not None else "", candidate.rank,
        candidate.evidence, candidate.detail, library, op is not None and op.stack.inside(THIRD_PARTY),
        candidate.once, candidate.detached or candidate.how, uids if direct is None else direct, frozenset(into),
    )  # fmt: skip
