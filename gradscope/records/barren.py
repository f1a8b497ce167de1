"""A run that ends with `backward()` of a loss that no parameter is connected to any more."""

from __future__ import annotations

from gradscope.records import Backward, OptimizerStep, Run
from gradscope.records.columns import receivers


def barren(run: Run) -> set[int]:
    """Parameters that passes of one line had reached, until the last pass of the run, of that line, reached none.

    Torch raises there. What was seen must say that nothing is connected; that nothing arrived proves nothing.
    """
    last = next((e for e in reversed(run.events) if isinstance(e, (Backward, OptimizerStep))), None)
    if not isinstance(last, Backward) or last.connected is None or last.connected or receivers(last.norms):
        return set()
    before = [e for e in run.backward_events if e is not last and e.location == last.location]
    return set().union(*(receivers(e.norms) for e in before))
