"""GS602 ranks-apart: the optimizers of different ranks are given different gradients for the same parameter.

Where gradients are averaged over the ranks, each optimizer gets the same. If not, each rank trains a model of
its own: a model or part of it that is not wrapped in DistributedDataParallel, a module called past the wrapper,
a no_sync() that was never left. It is right for tensor or expert parallel code whose ranks hold different parts of
one size under the same name. Nothing is said of the stages of a pipeline, where sizes differ, nor where each rank is
seen to write the weights itself (local SGD).

Bad:
    ddp = DistributedDataParallel(model)
    loss = criterion(model(x), y)               # past the wrapper: nothing is averaged
Good:
    loss = criterion(ddp(x), y)
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.ranks import by_name, over_ranks
from gradscope.records import Across, Path, Run

CODE = ("GS602", "ranks-apart")
TOLERANCE = 1e-2
"""Relative: low precision and the order of sums account for less."""
FEW = 2
"""Steps that a job has to make, if it does not come to its end, before what its optimizers are given is compared."""
TINY = 1e-8
"""Norms below this differ by rounding alone."""
MISSED = {
    "past": "it is called past the DistributedDataParallel that holds it, so nothing averages its gradient",
    "no_sync": "it is called inside no_sync(), so nothing averages its gradient",
}
"""Why nothing averages a gradient."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per model."""
    if run.job is not None and run.job.unheard is not None and run.steps < FEW:
        return  # an average that was waited for when the job ended was never taken
    if run.job is not None and run.job.stages:
        return  # no copies
    apart = {a.name: a for a in (run.job.parameters if run.job is not None else ()) if _differs(a)}
    uids = {p.name: uid for uid, p in run.parameters.items()}
    for model, fqns in by_name(run, list(apart)):
        names = [f"{model}.{fqn}" if fqn else model for fqn in fqns]
        worst = max((apart[name] for name in names), key=_ratio)
        assert worst.applied is not None
        low, high = worst.applied_ranks
        said, path = _reason(run, [uids[name] for name in names if name in uids])
        yield over_ranks(
            CODE,
            Severity.WARNING,
            run,
            model,
            fqns,
            state="flowing",
            cause="ranks_not_averaged",
            says="is given another gradient on each rank",
            said=said,
            path=path,
            detail=f"{worst.name}: norm {worst.applied[0]:.3g} on rank {low}, {worst.applied[1]:.3g} on rank {high}",
        )


def _reason(run: Run, uids: list[int]) -> tuple[str, Path]:
    """Why nothing averages these, and the line, where that was seen."""
    if uids and run.averaged.keys().isdisjoint(uids):
        return "no DistributedDataParallel holds it, so the copies of the ranks drift apart", ()
    missed = next((a for uid in uids if (a := run.averaged.get(uid)) and a.missed in MISSED), None)
    return (MISSED[missed.missed], missed.path) if missed is not None else ("", ())


def _differs(across: Across) -> bool:
    if across.parts != 1 or across.applied is None or across.applied[1] < TINY:
        return False
    if not across.same_size or across.written == across.ranks:
        return False  # no copies, or their values are put together by hand
    return across.applied[1] - across.applied[0] > TOLERANCE * across.applied[1]


def _ratio(across: Across) -> float:
    assert across.applied is not None
    return across.applied[1] / max(across.applied[0], TINY)


RULE = Rule(*CODE, check, __doc__ or "")
