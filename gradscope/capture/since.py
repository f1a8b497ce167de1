"""Since: what has kept a gradient away that came at first, found among the cuts of its parameter."""

from __future__ import annotations

from collections.abc import Mapping

from gradscope.capture.cuts import TARGET, Candidate, CutFinder, record
from gradscope.records import Cut

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
        if later and _sure(later[0], cuts=before >= 0):
            together.setdefault(later[0].place, (later[0], set()))[1].add(uid)
    return tuple(record(candidate, frozenset(uids)) for candidate, uids in together.values())


def _sure(first: Candidate, *, cuts: bool) -> bool:
    """Whether the likeliest of what is new is what stopped the gradient."""
    meant = first.cause in _OFF or (cuts and first.cause in _CUT and first.rank < TARGET)
    return meant and first.evidence == "traced"
