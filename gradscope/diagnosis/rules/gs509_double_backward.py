"""GS509 double-backward: the same loss is backpropagated twice before the step, so its gradient is doubled.

Which loss a pass began at is known of traced steps alone: of `gradscope run`, `explain()`, and the marked steps of a
`watch()`, which traces some where every gradient was doubled.

Bad:
    loss.backward(retain_graph=True)
    loss.backward()
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.alike import alike
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding
from gradscope.records import Backward, Clear, OptimizerStep, Path, Run

CODE = ("GS509", "double-backward")
TIMES = 2


def check(run: Run) -> Iterable[Finding]:
    """One finding per model."""
    roots: dict[int, set[int]] = {}
    counts: dict[int, int] = {}
    where: Path = ()
    for event in alike(run).events:
        if isinstance(event, Backward) and event.root is not None:
            for uid in event.norms:
                seen = roots.setdefault(uid, set())
                if event.root in seen or seen & event.again:
                    counts[uid] = counts.get(uid, 0) + 1
                    where = event.path
                seen.add(event.root)
        elif isinstance(event, Clear):
            for uid in event.parameters:
                roots.pop(uid, None)
        elif isinstance(event, OptimizerStep):
            for uid in event.norms:
                roots.pop(uid, None)
    for model, mine in by_model(run, alike(run).all({u: n for u, n in counts.items() if n >= TIMES})):
        yield finding(
            CODE,
            Severity.WARNING,
            run,
            model,
            mine,
            state="flowing",
            cause="double_backward",
            says="gets each gradient twice",
            path=where,
            evidence=Evidence.TRACED,
        )


RULE = Rule(*CODE, check, __doc__ or "")
