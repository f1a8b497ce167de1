"""GS601 rank-without-gradient: on some ranks a parameter never gets a gradient that it gets on others.

The data of those ranks never uses it: a task, a language or an expert that only some have. With
DistributedDataParallel such a rank is what the others wait for when a job hangs; with find_unused_parameters=True
it counts as zero in the average, so the gradient is smaller than it should be.

Bad:
    loss = head_a(h).mean() if rank == 0 else head_b(h).mean()
Good:
    sampler = DistributedSampler(dataset, shuffle=True)      # every rank sees every task
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.ranks import by_name, listed, over_ranks
from gradscope.records import Run

CODE = ("GS601", "rank-without-gradient")


def check(run: Run) -> Iterable[Finding]:
    """One finding per model and set of ranks."""
    groups: dict[tuple[tuple[int, ...], int], list[str]] = {}
    for across in run.job.parameters if run.job is not None else ():
        if 0 < across.received < across.ranks:
            without = across.ranks - across.received
            groups.setdefault((across.first_without, without), []).append(across.name)
    for (first, without), names in groups.items():
        for model, fqns in by_name(run, names):
            who = listed(first, without)
            yield over_ranks(
                CODE,
                Severity.WARNING,
                run,
                model,
                fqns,
                state="none",
                cause="rank_skips_it",
                says=f"gets no gradient on {who}",
            )


RULE = Rule(*CODE, check, __doc__ or "")
