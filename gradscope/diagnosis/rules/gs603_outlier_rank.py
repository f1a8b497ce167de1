"""GS603 outlier-rank: the gradients of one rank are not finite, or were so first, or far larger than those of others.

Averaging spreads them to all ranks, whose own gradients are not finite from the next step on: the rank that had them
first is named, if every rank measured each pass. Mostly it is the data of that
rank: a broken shard, an unnormalised file, an empty batch; sometimes its hardware.

Bad:
    dataset = shards[rank]                  # and one shard was never cleaned
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradscope.diagnosis.causes import CAUSES
from gradscope.diagnosis.finding import Finding, Rule, Severity
from gradscope.diagnosis.rules.ranks import begins_somewhere, by_name, listed, over_ranks
from gradscope.records import Job, Run

CODE = ("GS603", "outlier-rank")
TIMES = 100.0
"""Larger than the median rank's."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per model for what is not finite, one for ranks that stand out."""
    if run.job is None:
        return
    groups: dict[tuple[tuple[int, ...], int, int | None, bool], list[str]] = {}
    for across in run.job.parameters:
        alone = 0 < across.nonfinite < across.ranks
        if alone or begins_somewhere(across):
            many = across.nonfinite_begins
            groups.setdefault((across.first_nonfinite, many, across.nonfinite_step, alone), []).append(across.name)
    for (first, many, step, alone), names in groups.items():
        for model, fqns in by_name(run, names):
            yield _not_finite(run, run.job, model, fqns, listed(first, many), first, step, alone=alone)
    yield from _large(run, run.job)


def _not_finite(
    run: Run, job: Job, model: str, fqns: tuple[str, ...], who: str, first: tuple[int, ...], step: int | None, *,
    alone: bool,
) -> Finding:  # fmt: skip
    """Who had it alone, or who had it first; with the line, where that rank saw it."""
    when = f" at step {step}" if step is not None else ""
    says = f"gets a NaN or Inf gradient on {who} alone" if alone else f"gets a NaN or Inf gradient first on {who}{when}"
    seen = job.origin if job.origin is not None and job.origin.step == step and job.origin_rank in first else None
    return over_ranks(
        CODE, Severity.ERROR, run, model, fqns, state="nonfinite", cause="data_of_a_rank", says=says,
        said="" if seen is None else CAUSES.get(seen.cause, CAUSES["unknown"]).said,
        detail="" if alone else "from there it went through the average into the weights of all",
        path=seen.path if seen is not None else (),
        steps=None if step is None else (step, max(step, run.steps - 1)),
    )  # fmt: skip


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
