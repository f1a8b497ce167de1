"""Sizes: the 2-norm over the parameters of a model, out of the facts of a run. None where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isclose, isfinite

from gradscope.records import Backward, OptimizerStep, Run
from gradscope.records.columns import numbers_of

SAME = 0.01
"""Relative difference below which two norms are not told apart: what is shown has three digits."""


def last_norm(run: Run, uids: Sequence[int]) -> float | None:
    """At the last pass that reached them."""
    if run.job is not None and any(uid in run.parts for uid in uids):
        # Of parts, only the job's tallies know the norm of the whole.
        return _size({uid: tally.norm_last for uid, tally in run.tallies.items()}, uids)
    for event in reversed(run.passes):
        norm = _size(event.norms, uids)
        if norm is not None:
            return norm
    return _size({uid: tally.norm_last for uid, tally in run.tallies.items()}, uids)


def applied_norm(run: Run, uids: Sequence[int]) -> float | None:
    """What the last step found that was measured, if the pass before it had left something else.

    Not of parameters that are split over ranks: what one rank applies is a part, beside the norm of the whole.
    """
    if any(uid in run.parts for uid in uids):
        return None
    applied = None
    for event in reversed(run.events):
        if applied is None and isinstance(event, OptimizerStep):
            applied = _size(event.norms, uids)
        elif applied is not None and isinstance(event, Backward) and not event.norms.keys().isdisjoint(uids):
            left = _size(event.norms, uids)  # None where it was not measured: then nothing can be compared
            return applied if left is not None and not isclose(applied, left, rel_tol=SAME) else None
    return None


def sizes(events: Iterable[Backward], uids: Sequence[int]) -> list[float | None]:
    """Of each pass that reached them and was kept; None where it was not measured."""
    found = (numbers_of(event.norms, uids) for event in events)
    return [_together(numbers) for numbers in found if numbers]


def usual(found: Iterable[float | None]) -> float | None:
    """The median of some sizes; NaN or Inf if the last of them is."""
    known = [n for n in found if n is not None]
    return median(known) if not known or isfinite(known[-1]) else known[-1]


def times(found: Sequence[float | None]) -> int:
    """How many of some sizes that is told of: of the NaN or Inf if the last of them is, else all."""
    broken = [n is not None and not isfinite(n) for n in found]
    return sum(broken) if broken and broken[-1] else len(found)


def median(numbers: Iterable[float]) -> float | None:
    """The middle one, or the mean of the middle two; None of none. NaN and Inf are larger than all that is finite."""
    ordered = sorted(numbers, key=lambda n: n if isfinite(n) else inf)
    if not ordered:
        return None
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else (low + high) / 2


def _size(norms: Mapping[int, float | None], uids: Sequence[int]) -> float | None:
    """2-norm over the measured parameters of one event; None if none of them received a gradient."""
    return _together(numbers_of(norms, uids))


def _together(norms: Iterable[float | None]) -> float | None:
    found = [norm for norm in norms if norm is not None]
    return sum(n * n for n in found) ** 0.5 if found else None
