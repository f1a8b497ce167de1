"""Since: what has kept a gradient away that came at first, found among the cuts of its parameter."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Mapping

from gradscope.capture.candidates import Candidate, record
from gradscope.capture.cuts import TARGET, CutFinder
from gradscope.records import Cut, Run
from gradscope.records.columns import receivers

AGAIN = 2
"""Times that a gradient was kept away by the same line before that line is told."""
MOST = 500
"""Parameters that are looked at for what cuts now and then."""
_OFF = {"no_grad", "inference_mode"}
_CUT = {"detach", "data", "numpy", "item", "new_tensor"}


def find_since(finder: CutFinder, last: Mapping[int, int]) -> tuple[Cut, ...]:
    """Of parameters whose last gradient came in these backward passes: what has kept them from one since.

    What cut already while they still came is none of it. Where tracing saw none come, only gradients that are
    switched off are sure to be new.
    """
    together: dict[tuple[object, ...], tuple[Candidate, set[int]]] = {}
    for uid, index in last.items():
        before = max((root.op for root in finder.tape.roots if root.backward <= index), default=-1)
        found = finder.candidates(uid)
        usual = {c.place for c in found if c.when < before}
        later = [c for c in found if c.when >= before and c.place not in usual]
        if not later and (off := _switched_off(finder, uid, before)) is not None:
            later = [off]
        if later and _sure(later[0], cuts=before >= 0):
            together.setdefault(later[0].place, (later[0], set()))[1].add(uid)
    return tuple(record(candidate, frozenset(uids)) for candidate, uids in together.values())


def find_sometimes(finder: CutFinder, run: Run, uids: Iterable[int]) -> tuple[Cut, ...]:
    """Of parameters that get a gradient at some steps only: what cut each time that none came, and never when one did.

    Passes that were not kept, or not traced, say nothing.
    """
    reached = {event.index: receivers(event.norms) for event in run.passes}
    roots = [root for root in finder.tape.roots if root.backward in reached]
    ends = [root.op for root in roots]
    together: dict[tuple[object, ...], tuple[Candidate, set[int]]] = {}
    for uid in itertools.islice(uids, MOST):
        places: dict[tuple[object, ...], list[Candidate]] = {}
        came: dict[tuple[object, ...], bool] = {}
        for candidate in finder.candidates(uid):
            at = bisect.bisect_left(ends, candidate.when)
            if at == len(ends) or candidate.evidence != "traced" or candidate.cause not in _OFF | _CUT:
                continue
            places.setdefault(candidate.place, []).append(candidate)
            came[candidate.place] = came.get(candidate.place, False) or uid in reached[roots[at].backward]
        only = [found for place, found in places.items() if not came[place] and len(found) >= AGAIN]
        if only:
            first = min(only, key=lambda found: found[0].order)[0]
            together.setdefault(first.place, (first, set()))[1].add(uid)
    return tuple(record(candidate, frozenset(uids)) for candidate, uids in together.values())


def _switched_off(finder: CutFinder, uid: int, before: int) -> Candidate | None:
    """What it computes since then is all computed while gradients are off, so that no loss asks for one any more."""
    uses = [
        finder.tape.ops[at]
        for version in finder.tape.params.get(uid, ())
        for child, _ in finder.down[version]
        if (at := finder.tape.values[child].op) > before and finder.tape.values[child].param != uid
    ]
    if not uses or any(op.cause not in _OFF for op in uses):
        return None
    return Candidate(uses[0].cause, finder.causes.switch(uses[0]), uses[0], TARGET - 1)


def _sure(first: Candidate, *, cuts: bool) -> bool:
    """Whether the likeliest of what is new is what stopped the gradient."""
    meant = first.cause in _OFF or (cuts and first.cause in _CUT and first.rank < TARGET)
    return meant and first.evidence == "traced"
