"""Since: what has kept a gradient away that came at first, found among the cuts of its parameter."""

from __future__ import annotations

import bisect
import inspect
import itertools
import linecache
from collections.abc import Iterable, Mapping

from gradscope.capture.candidates import TARGET, Candidate, record
from gradscope.capture.cuts import CutFinder
from gradscope.capture.source import line_of
from gradscope.capture.tape import Op
from gradscope.records import LEFT_OFF, Cut, Run
from gradscope.records.columns import receivers

AGAIN = 2
"""Times that a gradient was kept away by the same line before that line is told."""
MOST = 500
"""Parameters that are looked at for what cuts now and then."""
GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_OFF = {"no_grad", "inference_mode"}
_CUT = {"detach", "data", "numpy", "item", "new_tensor"}


def find_since(finder: CutFinder, last: Mapping[int, int]) -> tuple[Cut, ...]:
    """Of parameters whose last gradient came in these backward passes: what has kept them from one since.

    What cut already while they still came is none of it. Where tracing saw none come, it is the best explanation.
    """
    together: dict[tuple[object, ...], tuple[Candidate, set[int]]] = {}
    for uid, index in last.items():
        before = max((root.op for root in finder.tape.roots if root.backward <= index), default=-1)
        found = finder.candidates(uid)
        usual = {c.place for c in found if c.when < before and not _for_later(finder, c, before)}
        later = [c for c in found if c.place not in usual]
        if not later and (off := _switched_off(finder, uid, before)) is not None:
            later = [off]
        if later and before >= 0 and not _uses(finder, uid, before):
            later[0].kept = _behind(finder, later[0].source) <= last.keys()
        if later and _sure(later[0]):
            if _left_off(later[0]):
                later[0].detached = LEFT_OFF
            later[0].evidence = "traced" if before >= 0 or later[0].cause in _OFF else "inferred"
            together.setdefault(later[0].place, (later[0], set()))[1].add(uid)
    return tuple(record(candidate, frozenset(uids)) for candidate, uids in together.values())


def find_sometimes(finder: CutFinder, run: Run, uids: Iterable[int]) -> tuple[Cut, ...]:
    """Of parameters that get a gradient at some steps only: what cut before each step without one, and before no other.

    A cut that is there at every turn (a `detach()` for another network's loss) is not it.
    """
    reached = {event.index: receivers(event.norms) for event in run.passes}
    together: dict[tuple[object, ...], tuple[Candidate, set[int]]] = {}
    for uid in itertools.islice(uids, MOST):
        steps = [at for at, held in zip(finder.tape.steps, finder.tape.held, strict=True) if uid in held]
        roots = [(bisect.bisect_left(steps, root.op), root.backward) for root in finder.tape.roots]
        if any(backward not in reached for _, backward in roots):
            continue  # what a pass delivered that was not kept is not known
        missed = set(range(len(steps))).difference(turn for turn, backward in roots if uid in reached[backward])
        places: dict[tuple[object, ...], tuple[Candidate, set[int]]] = {}
        for candidate in finder.candidates(uid):
            if candidate.evidence == "traced" and candidate.cause in _OFF | _CUT:
                turns = places.setdefault(candidate.place, (candidate, set()))[1]
                turns.add(bisect.bisect_left(steps, candidate.when))
        only = [first for first, turns in places.values() if turns == missed and len(missed) >= AGAIN]
        if only:
            first = min(only, key=lambda candidate: candidate.order)
            together.setdefault(first.place, (first, set()))[1].add(uid)
    return tuple(record(candidate, frozenset(uids)) for candidate, uids in together.values())


def _for_later(finder: CutFinder, candidate: Candidate, before: int) -> bool:
    """What it cut is not read before this operation: it is kept for the turns that come after."""
    reads = [finder.tape.values[child].op for child, _ in finder.down[candidate.value]] if candidate.value >= 0 else []
    return bool(reads) and min(reads) > before


def _switched_off(finder: CutFinder, uid: int, before: int) -> Candidate | None:
    """What it computes since then is all computed while gradients are off, so that no loss asks for one any more."""
    uses = _uses(finder, uid, before)
    if not uses or any(op.cause not in _OFF for op in uses):
        return None
    return Candidate(uses[0].cause, finder.causes.switch(uses[0]), uses[0], TARGET - 1)


def _left_off(found: Candidate) -> bool:
    """Whether a call of the user's, and no manager, switched gradients off in a function that has returned since."""
    op = found.op
    if found.cause != "no_grad" or op is None or not op.blame.frames or op.blame.has("contextlib"):
        return False
    code, lasti = op.blame.frames[0]
    if lasti == -1 or code.co_name in ("<module>", "__enter__") or code.co_flags & GENERATOR:
        return False
    text = linecache.getline(code.co_filename, line_of(code, lasti)).strip()
    return "set_grad_enabled(False)" in text and all(running is not code for running, _ in op.stack.frames)


def _uses(finder: CutFinder, uid: int, before: int) -> list[Op]:
    """The operations after this one that read a parameter; those that only measure it (a norm to print) are none."""
    values = finder.tape.values
    read = {child for version in finder.tape.params.get(uid, ()) for child, _ in finder.down[version]}
    return [
        finder.tape.ops[values[child].op]
        for child in sorted(read)
        if values[child].op > before
        and values[child].param != uid
        and (values[child].numel != 1 or child in finder.distance)
    ]


def _behind(finder: CutFinder, value: int) -> set[int]:
    """The parameters that a value was computed from and its gradient would go back to; -1 where it is not known."""
    values = finder.tape.values
    todo, seen = [value], {value}
    if value < 0:
        return seen
    while todo:
        for parent, live in values[todo.pop()].parents:
            if live and parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return {values[each].param for each in seen if values[each].param >= 0}


def _sure(first: Candidate) -> bool:
    """Whether the likeliest of what is new is what stopped the gradient."""
    meant = first.cause in _OFF or (first.cause in _CUT and first.rank < TARGET)
    return meant and first.evidence == "traced"
