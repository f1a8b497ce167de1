"""GS102 unused-module: a module in an optimizer never takes part in the computation.

No traced operation ever read its parameters. That is often an oversight (a layer built and not called) and
sometimes a design (an auxiliary tower, a mask token, a head of another task), so part of a model is a
warning; a whole model that is never called is an error. Under DistributedDataParallel such parameters also
need find_unused_parameters=True.

Bad:
    self.norm = nn.LayerNorm(dim)          # never called in forward
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from gradscope.diagnosis.causes import Cause
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import (
    best_cuts,
    by_model,
    covers_model,
    finding,
    fqns,
    numberless,
    tally,
)
from gradscope.diagnosis.rules.gs101_no_gradient import failed_at_once, missing
from gradscope.diagnosis.rules.ranks import fed_elsewhere
from gradscope.records import Path, Run

CODE = ("GS102", "unused-module")
_CHOSEN = "call it in forward(), or do not build it; an expert that is never chosen needs a loss that balances the load"
_TWIN = Cause(
    "another instance gets the gradients in its place, which was built",
    "use the instance that the optimizer holds, or build the optimizer from the other",
)


def check(run: Run) -> Iterable[Finding]:
    """One finding per line that built modules none of whose trainable parameters was read."""
    cuts = best_cuts(run)
    if cuts and failed_at_once(run):
        return  # the first pass failed, for these cuts: what would have run after it was not seen
    elsewhere = fed_elsewhere(run)  # GS601 names the ranks that do without
    idle = [
        uid
        for uid in missing(run)
        if uid in run.never_used and uid not in cuts and run.parameters[uid].name not in elsewhere
    ]
    for model, uids in by_model(run, idle):
        whole = covers_model(run, model, uids)
        severity = Severity.ERROR if whole else Severity.WARNING
        twin = _twin(run, uids)
        if twin is not None:
            yield finding(
                CODE,
                severity,
                run,
                model,
                uids,
                state="none",
                cause="copied",
                says="is never used",
                path=twin,
                evidence=Evidence.INFERRED,
                words=_TWIN,
            )
            continue
        groups = _together(run, model, [uids] if whole else _modules(run, model, uids))
        for path, group in groups:
            yield finding(
                CODE,
                severity,
                run,
                model,
                group,
                state="none",
                cause="unused_module",
                says="is never used",
                path=path,
                evidence=Evidence.TRACED,
                fix=_CHOSEN if _siblings_train(run, group) else "",
            )


def _together(run: Run, model: str, groups: Iterable[tuple[int, ...]]) -> list[tuple[Path, tuple[int, ...]]]:
    """Modules that one line built are one finding; where no line was seen, those whose names differ in a number."""
    found: dict[Hashable, tuple[Path, list[int]]] = {}
    for uids in groups:
        line = _line(run, model, uids)
        kind = line or frozenset(numberless(run.parameters[u]) for u in uids)
        found.setdefault((kind, _siblings_train(run, uids)), (line, []))[1].extend(uids)
    return [(line, tuple(dict.fromkeys(uids))) for line, uids in found.values()]


def _siblings_train(run: Run, uids: tuple[int, ...]) -> bool:
    """Whether others whose names differ in a number only get gradients: experts, among which something chooses."""
    patterns = {numberless(run.parameters[u]) for u in uids if numberless(run.parameters[u]) != run.parameters[u].name}
    return any(tally(run, u).backwards and numberless(p) in patterns for u, p in run.parameters.items())


def _twin(run: Run, uids: tuple[int, ...]) -> Path | None:
    """Where a module of the same shapes was built that gets the gradients and that no optimizer holds."""
    shapes = sorted(run.parameters[u].shape for u in uids)
    held = {u for o in run.optimizers for u in o.parameters}
    loose = [p for p in run.parameters.values() if p.uid not in held and p.owners and tally(run, p.uid).backwards]
    for prefix, path in run.built.items():
        inside = [p for p in loose if any(f"{o.model}.{o.fqn}".startswith(f"{prefix}.") for o in p.owners)]
        if inside and sorted(p.shape for p in inside) == shapes:
            return path
    return None


def _modules(run: Run, model: str, uids: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Group by the topmost module all of whose trainable parameters are unused."""
    names = {
        owner.fqn: uid
        for uid, p in run.parameters.items()
        for owner in p.owners
        if owner.model == model and p.trainable
    }
    unused = set(uids)
    groups: dict[str, list[int]] = {}
    for fqn, uid in names.items():
        if uid not in unused:
            continue
        parts = fqn.split(".")
        top = fqn
        for depth in range(1, len(parts)):
            prefix = ".".join(parts[:depth]) + "."
            if all(u in unused for f, u in names.items() if f.startswith(prefix)):
                top = prefix
                break
        groups.setdefault(top, []).append(uid)
    return [tuple(dict.fromkeys(group)) for group in groups.values()]


def _trainable_below(run: Run, model: str, prefix: str) -> list[int]:
    return [
        uid
        for uid, p in run.parameters.items()
        for owner in p.owners
        if owner.model == model and owner.fqn.startswith(prefix) and p.trainable
    ]


def _line(run: Run, model: str, uids: tuple[int, ...]) -> Path:
    """The line that put the unused module into its parent; of a whole model, the line that built it.

    Of a parameter whose module is used otherwise, the line that gave it to the module.
    """
    names = [n for n in fqns(run, model, uids) if n]
    parts = [name.split(".")[:-1] for name in names]
    common = [column[0] for column in zip(*parts, strict=False) if len(set(column)) == 1] if parts else []
    for depth in range(1, len(common) + 1):
        prefix = ".".join(common[:depth]) + "."
        path = run.built.get(f"{model}.{prefix}"[:-1])
        if path and all(u in uids for u in _trainable_below(run, model, prefix)):
            return path
    alone = [run.parameters[u].registered for u in uids if not covers_model(run, model, uids)]
    if alone and alone[0]:
        return alone[0]
    paths = [run.parameters[u].built or run.parameters[u].registered for u in uids]
    path = next((p for p in paths if p), ())
    while len(path) > 1 and path[-1].function == "__init__":
        path = path[:-1]
    return path


RULE = Rule(*CODE, check, __doc__ or "")
