"""The numbers in the cells of the matrices: norms, and what stands where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gradscope.records import Backward
    from gradscope.render.figures_kept import Kept
    from gradscope.report import FlowRow

ABSENT = -1.0
"""In a matrix of norms: received nothing. A norm is never negative."""
NOT_KEPT = -2.0
"""In a matrix of norms: whatever was received was not kept or not measured."""
FROZEN = -3.0
"""In a matrix of norms: received nothing and was not to."""

ELSEWHERE = -4.0
"""In a matrix of norms: received nothing, as only lines ran that never reach it."""

Matrix = np.ndarray[Any, np.dtype[np.float64]]


def columns_of(rows: list[tuple[int, str, int]], events: list[Backward], kept: Kept) -> Matrix:
    """Per parameter and column the median norm; NaN or Inf if there was one, nothing only if there was nothing."""
    places: dict[int, list[Backward]] = {}
    for event in events:
        places.setdefault(event.index // kept.width, []).append(event)
    row_of = {uid: row for row, (uid, _, _) in enumerate(rows)}
    norms = np.full((len(rows), kept.columns), NOT_KEPT)
    for column, found in places.items():
        norms[:, column] = _middle(np.array([_of_pass(event, row_of) for event in found]))
    return norms


def _of_pass(event: Backward, row_of: dict[int, int]) -> Matrix:
    answer = np.full(len(row_of), ABSENT)
    found = [(row_of[uid], norm) for uid, norm in event.norms.items() if uid in row_of]
    answer[[row for row, _ in found]] = [NOT_KEPT if norm is None else norm for _, norm in found]
    return answer


def _middle(norms: Matrix) -> Matrix:
    """Of passes x parameters one number for each parameter."""
    everyone = np.arange(norms.shape[1])
    broken = ~np.isfinite(norms)
    measured = ~broken & (norms >= 0)
    ordered = np.sort(np.where(measured, norms, np.inf), axis=0)
    many = measured.sum(axis=0)
    lower, upper = (np.clip(at, 0, len(norms) - 1) for at in ((many - 1) // 2, many // 2))
    median = (ordered[lower, everyone] + ordered[upper, everyone]) / 2
    nothing = np.where((norms == NOT_KEPT).any(axis=0), NOT_KEPT, ABSENT)
    first_broken = norms[broken.argmax(axis=0), everyone]
    return np.where(broken.any(axis=0), first_broken, np.where(measured.any(axis=0), median, nothing))


def flow_value(row: FlowRow, model: str) -> float:
    norm = row.models.get(model)
    if norm is None:
        return NOT_KEPT if model in row.reached else ABSENT
    return norm
