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
    """What the last step found that was measured, if the pass before it had left something else."""
    applied = None
    for event in reversed(run.events):
        if applied is None and isinstance(event, OptimizerStep):
            applied = _size(event.norms, uids)
        elif applied is not None and isinstance(event, Backward) and not event.norms.keys().isdisjoint(uids):
            left = _size(event.norms, uids)  # None where it was not measured: then nothing can be compared
            return applied if left is not None and not isclose(applied, left, rel_tol=SAME) else None
    return None


def median_norm(events: Iterable[Backward], uids: Sequence[int]) -> float | None:
    """Over the passes that reached them and were kept; NaN or Inf if the last of these left it."""
    found = [n for n in (_size(event.norms, uids) for event in events) if n is not None]
    return median(found) if not found or isfinite(found[-1]) else found[-1]


def median(numbers: Iterable[float]) -> float | None:
    """The middle one, or the mean of the middle two; None of none. NaN and Inf are larger than all that is finite."""
    ordered = sorted(numbers, key=lambda n: n if isfinite(n) else inf)
    if not ordered:
        return None
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else (low + high) / 2


def _size(norms: Mapping[int, float | None], uids: Sequence[int]) -> float | None:
    """2-norm over the measured parameters of one event; None if none of them received a gradient."""
    found = [norm for norm in numbers_of(norms, uids) if norm is not None]
    return sum(n * n for n in found) ** 0.5 if found else None
