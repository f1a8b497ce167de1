"""GS601 rank-without-gradient: on some ranks a parameter gets no gradient that it gets on others.

The data of those ranks never uses it: a task, a language or an expert that only some have. With
DistributedDataParallel such a rank is what the others wait for when a job hangs; with find_unused_parameters=True
it counts as zero in the average, so the gradient is smaller than it should be.

It is told of a parameter that a rank never uses; and, where the job did not come to its end, of one that it had used
in each pass but the last: one batch without images is enough.

Bad:
    loss = head_a(h).mean() if rank == 0 else head_b(h).mean()
Good:
    sampler = DistributedSampler(dataset, shuffle=True)      # every rank sees every task
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.causes import CAUSES
from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.ranks import by_name, listed, over_ranks
from gradscope.records import Across, Run
from gradscope.records.ranks import Lack

CODE = ("GS601", "rank-without-gradient")
_SKIPPED = CAUSES["rank_skips_it"].said
_UNSEEN = f"probably {_SKIPPED}"
"""Where those ranks were not traced."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per model, set of ranks and reason."""
    groups: dict[tuple[tuple[int, ...], int, Lack | None], list[Across]] = {}
    for across in run.job.parameters if run.job is not None else ():
        if 0 < across.received < across.ranks:
            without = across.ranks - across.received
            groups.setdefault((across.first_without, without, across.lack), []).append(across)
    for (first, without, lack), members in groups.items():
        for model, fqns in by_name(run, [across.name for across in members]):
            names = {f"{model}.{fqn}" for fqn in fqns}
            yield _one(run, model, fqns, first, without, lack, [a for a in members if a.name in names])
    yield from _at_the_end(run)


def _one(
    run: Run, model: str, fqns: tuple[str, ...], first: tuple[int, ...], without: int, lack: Lack | None,
    members: list[Across],
) -> Finding:  # fmt: skip
    """What the ranks without a gradient traced says why; else it is told where another rank uses it."""
    seen = lack is not None and lack.cause != "unused_module" and lack.cause in CAUSES
    used = {across.used for across in members}
    line = used.pop() if not seen and len(used) == 1 else None
    said = CAUSES[lack.cause].said if seen and lack is not None else _SKIPPED if lack is not None else _UNSEEN
    return over_ranks(
        CODE,
        Severity.WARNING,
        run,
        model,
        fqns,
        state="none",
        cause=lack.cause if seen and lack is not None else "rank_skips_it",
        says=f"gets no gradient on {listed(first, without)}",
        said=f"{said}, as rank {members[0].user} does" if line is not None else said,
        path=(lack.location,) if seen and lack is not None and lack.location is not None else (line,) if line else (),
    )


def _at_the_end(run: Run) -> Iterable[Finding]:
    """What a rank lacked in its last backward pass alone, where the job did not come to its end."""
    if run.job is None or run.job.unheard is None:
        return
    groups: dict[tuple[tuple[int, ...], int], list[str]] = {}
    for across in run.job.parameters:
        if across.steady and 0 < across.stopped < across.ranks == across.received:
            groups.setdefault((across.first_stopped, across.stopped), []).append(across.name)
    for (first, many), names in groups.items():
        for model, fqns in by_name(run, names):
            who = listed(first, many)
            yield over_ranks(
                CODE,
                Severity.ERROR,
                run,
                model,
                fqns,
                state="none",
                cause="rank_skips_it",
                says=f"got no gradient on {who} in the last backward pass, after which the job ended",
                said="what was computed there did not use it, as it had in every pass before",
                detail=f"rank {run.job.unheard.rank}: {run.job.unheard.missing}",
            )


RULE = Rule(*CODE, check, __doc__ or "")
