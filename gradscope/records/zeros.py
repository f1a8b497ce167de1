"""Zeros in `.grad` that are no gradient."""

from __future__ import annotations

from gradscope.records import Run
from gradscope.records.columns import receivers
from gradscope.records.once import once


@once
def zeros_left(run: Run) -> set[int]:
    """Parameters whose optimizers found nothing but zeros that no backward pass of the training has left there.

    `zero_grad(set_to_none=False)` leaves them, of a dry run before the first step or of one before watching began.
    """
    if not run.step_events:
        return set()
    first = run.step_events[0].clock
    before = sum(event.clock < first for event in run.backward_events)
    candidates = {
        uid
        for uid, count in run.tallies.items()
        if count.steps_none < count.steps
        and (not count.backwards or (count.last_backward is not None and count.last_backward < before))
    }
    zero: set[int] = set()
    for event in run.step_events if candidates else ():
        for uid in candidates & receivers(event.norms):
            norm = event.norms[uid]
            if norm:
                candidates.discard(uid)
            elif norm == 0.0:
                zero.add(uid)
    return zero & candidates
