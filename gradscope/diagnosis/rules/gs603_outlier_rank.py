"""GS603 outlier-rank: the gradients of one rank are not finite, or far larger than those of the others.

Averaging spreads them to all ranks, where nothing tells any more whose they were. Mostly it is the data of that
rank: a broken shard, an unnormalised file, an empty batch; sometimes its hardware.

Bad:
    dataset = shards[rank]                  # and one shard was never cleaned
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.ranks import by_name, listed, over_ranks
from gradscope.records import Job, Run

CODE = ("GS603", "outlier-rank")
TIMES = 100.0
"""Larger than the median rank's."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per model for what is not finite, one for ranks that stand out."""
    if run.job is None:
        return
    groups: dict[tuple[tuple[int, ...], int], list[str]] = {}
    for across in run.job.parameters:
        if 0 < across.nonfinite < across.ranks:
            groups.setdefault((across.first_nonfinite, across.nonfinite), []).append(across.name)
    for (first, many), names in groups.items():
        for model, fqns in by_name(run, names):
            says = f"gets a NaN or Inf gradient on {listed(first, many)} alone"
            yield over_ranks(
                CODE, Severity.ERROR, run, model, fqns, state="nonfinite", cause="data_of_a_rank", says=says
            )
    yield from _large(run, run.job)


def _large(run: Run, job: Job) -> Iterable[Finding]:
    norms = sorted((row.norm, row.rank) for row in job.rows if row.norm is not None and math.isfinite(row.norm))
    whole = [across.name for across in job.parameters if across.parts == 1 and across.received]
    if len(norms) < 2 or not whole:
        return
    median = norms[(len(norms) - 1) // 2][0]
    out = [rank for norm, rank in norms if norm > TIMES * median > 0]
    if out:
        detail = f"norm over all parameters {norms[-1][0]:.3g} on rank {norms[-1][1]}, {median:.3g} on the median rank"
        for model, fqns in by_name(run, whole)[:1]:
            says = f"gets gradients more than {TIMES:g} times as large on {listed(out[:8], len(out))}"
            yield over_ranks(
                CODE, Severity.WARNING, run, model, fqns, state="flowing", cause="data_of_a_rank", says=says,
                detail=detail,
            )  # fmt: skip


RULE = Rule(*CODE, check, __doc__ or "")
