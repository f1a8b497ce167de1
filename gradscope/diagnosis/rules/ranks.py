"""What the rules about many ranks share: parameters by name, ranks in words."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.causes import CAUSES
from gradscope.diagnosis.finding import Evidence, Finding, Severity
from gradscope.diagnosis.rules.common import at
from gradscope.records import Across, Path, Run


def by_name(run: Run, names: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Split `model.fqn` names by model; of a model that only other ranks have, at the first dot."""
    models = sorted((model.name for model in run.models), key=len, reverse=True)
    answer: dict[str, list[str]] = {}
    for name in names:
        model = next((m for m in models if name == m or name.startswith(f"{m}.")), name.partition(".")[0])
        answer.setdefault(model, []).append(name.removeprefix(model).removeprefix("."))
    return [(model, tuple(fqns)) for model, fqns in answer.items()]


def listed(first: Sequence[int], many: int) -> str:
    """Some ranks, in words."""
    if many == 1:
        return f"rank {first[0]}"
    more = f" and {many - len(first)} more" if many > len(first) else ""
    return f"ranks {', '.join(map(str, first))}{more}"


def over_ranks(  # noqa: PLR0913 - the fields of a finding
    rule: tuple[str, str],
    severity: Severity,
    run: Run,
    model: str,
    fqns: tuple[str, ...],
    *,
    state: str,
    cause: str,
    says: str,
    detail: str = "",
    path: Path = (),
    steps: tuple[int, int] | None = None,
    said: str = "",
) -> Finding:
    """A finding that only the facts of several ranks give."""
    known = next((m for m in run.models if m.name == model), None)
    whole = known is not None and len(fqns) >= sum(run.parameters[u].trainable for u in known.parameters)
    several = f"{len(fqns)} parameters of {model}"
    who = model if whole else (f"{model}.{fqns[0]}" if fqns[0] else model) if len(fqns) == 1 else _common(model, fqns)
    if who is None:
        who = several
        verb, _, rest = says.partition(" ")
        says = f"{ {'is': 'are'}.get(verb, verb.removesuffix('s')) } {rest}"
    words, location = CAUSES[cause], path[-1] if path else None
    return Finding(
        rule[0], rule[1], severity, model, fqns, state, cause, Evidence.OBSERVED,
        f"{who} {says}: {said or words.said}{at(location)}.", words.fix, location, path,
        steps=steps or (0, max(run.steps - 1, 0)), detail=detail,
    )  # fmt: skip


def fed_elsewhere(run: Run) -> frozenset[str]:
    """Parameters by name that get a gradient on some rank of the job."""
    return frozenset(a.name for a in (run.job.parameters if run.job is not None else ()) if a.received)


def begun_elsewhere(run: Run) -> frozenset[str]:
    """Parameters by name that had their first NaN or Inf on other ranks than the one that reports, and later here."""
    job = run.job
    if job is None:
        return frozenset()
    return frozenset(a.name for a in job.parameters if begins_somewhere(a) and job.reporter not in a.first_nonfinite)


def begins_somewhere(across: Across) -> bool:
    """Whether a NaN or Inf came first on some ranks, and afterwards on all."""
    later = 0 < across.nonfinite_begins < across.nonfinite == across.ranks
    return later and across.measured and across.nonfinite_step is not None


def _common(model: str, fqns: tuple[str, ...]) -> str | None:
    """The module that all these are in."""
    common: list[str] = []
    for column in zip(*(fqn.split(".")[:-1] for fqn in fqns), strict=False):
        if len(set(column)) > 1:
            break
        common.append(column[0])
    return ".".join([model, *common]) if common else None
