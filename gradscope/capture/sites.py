"""Sites: the operations of one turn at which the gradients of silent parameters were lost.

Of each silent parameter the likeliest cut is looked up once per place, and found again in the drawn turn by the
line and name of its operation: the finder blames its first occurrence, the picture shows another turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gradscope.capture.candidates import Candidate
from gradscope.capture.cuts import CutFinder
from gradscope.capture.origins import Found, group
from gradscope.capture.source import library_line, resolve
from gradscope.capture.tape import Op
from gradscope.capture.turns import Turn
from gradscope.records import Cut, Location, Parameter, Run

UNUSED = "unused_output"
FROZEN = "requires_grad_false"


@dataclass(frozen=True, slots=True)
class Site:
    """Why and where a gradient was lost."""

    cause: str
    location: Location | None
    returns: int | None = None
    """Operation that took the value back after it had left torch, -1 if unknown; None if it never left."""


@dataclass(slots=True)
class Sites:
    """Per operation the cut there."""

    at: dict[int, Site] = field(default_factory=dict)
    spoilt: dict[int, Site] = field(default_factory=dict)
    """Per operation why the gradient became zero, NaN or Inf there: it goes on, and is worth nothing."""
    ends: set[int] = field(default_factory=set)
    """Operations of the turn whose result carries a gradient that nobody asked for."""


def find_sites(finder: CutFinder, run: Run, turn: Turn, origins: Iterable[Found] = ()) -> Sites:
    """The likeliest cut of every silent parameter, as operations of this turn (or from before the loop).

    What the user froze and gave to no optimizer is no cut.
    """
    held = {uid for optimizer in run.optimizers for uid in optimizer.parameters}
    best: dict[int, Cut] = {}
    for cut in run.cuts:
        for uid in cut.parameters & held:
            best.setdefault(uid, cut)
    examples: dict[int, int] = {}
    for uid in sorted(best):
        examples.setdefault(id(best[uid]), uid)
    sites = Sites()
    for uid in examples.values():
        found = [candidate for candidate in finder.candidates(uid) if candidate.op is not None]
        told = (c for c in found if c.cause == best[uid].cause and resolve(c.stack) == best[uid].path)
        likeliest = next(told, found[0] if found else None)
        if likeliest is not None and likeliest.op is not None:
            _place(sites, finder, likeliest, likeliest.op, turn, run.parameters[uid])
    ops = finder.tape.ops
    for origin, _ in group(each for each in origins if each.op >= 0):
        culprit = ops[origin.op] if origin.op < len(ops) else None
        if culprit is None or origin.stack.frames[-len(culprit.stack.frames) :] != culprit.stack.frames:
            continue  # it was found at an earlier traced step, of whose tape nothing is left
        path = resolve(origin.stack)
        for op in ops[turn.start : turn.end]:
            if _same(op, culprit):
                sites.spoilt.setdefault(op.index, Site(origin.cause, path[-1] if path else None))
    return sites


def _place(
    sites: Sites, finder: CutFinder, candidate: Candidate, culprit: Op, turn: Turn, parameter: Parameter
) -> None:
    path = parameter.frozen_at if candidate.cause == FROZEN else ()
    path = path or resolve(candidate.stack)
    where = path[-1] if path else None
    ops = finder.tape.ops
    same = [op for op in ops[turn.start : turn.end] if _same(op, culprit)]
    for op in same or [culprit]:
        returns = None
        if candidate.evidence == "inferred" and op.outputs:
            returns = _returns(finder, op.outputs[0])
        sites.at.setdefault(op.index, Site(candidate.cause, where, returns))
    if candidate.cause == UNUSED:
        sites.ends.update(op.index for op in same[-1:] or [culprit])


def _same(op: Op, culprit: Op) -> bool:
    return (
        op.name == culprit.name
        and op.stack.frames[:1] == culprit.stack.frames[:1]
        and library_line(op.stack) == library_line(culprit.stack)
    )


def _returns(finder: CutFinder, value: int) -> int:
    """The operation on the way to a loss that used what had left torch, or -1."""
    for escape in finder.returns.escapes(value):
        taint = finder.returns.taint(escape.stack)
        for op in finder.tape.ops[escape.index + 1 :] if taint else ():
            if not any(v in finder.distance for v in op.outputs):
                continue
            foreign = op.scalars or any(_is_foreign(finder, v) for v, _ in op.inputs)
            if foreign and taint.marks(op.stack):
                return op.index
    return -1


def _is_foreign(finder: CutFinder, value: int) -> bool:
    """It came from outside torch."""
    known = finder.tape.values[value]
    return known.op < 0 and not known.parents and known.param < 0
