"""What rules share: whom a finding is about, and how it is put together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from gradscope.diagnosis.causes import CAUSES, Cause
from gradscope.diagnosis.finding import Evidence, Finding, Severity
from gradscope.diagnosis.numbered import blocks
from gradscope.diagnosis.plural import in_plural, plural
from gradscope.records import Cut, Location, Model, Origin, Parameter, Path, Run, Tally

EMPTY = Tally()
DIED = 5
"""Passes in a row that brought zeros, after which a weight says nothing of its bias any more."""
_UNEXPLAINED = "tracing saw no more: follow its output to the loss by hand, and print the values on the way"

_EXPONENTIAL = ("exp", "sinh", "cosh", "pow", "poisson")


def tally(run: Run, uid: int) -> Tally:
    return run.tallies.get(uid, EMPTY)


def by_model(run: Run, uids: Iterable[int]) -> list[tuple[str, tuple[int, ...]]]:
    """Split parameters into as few models as cover them; of equal ones the smallest, nearest to the user's name.

    What two of them share, such as tied weights, is told of each; a model that shares all it has is named beside.
    """
    left = set(uids)
    meant = frozenset(left)
    answer: list[tuple[str, tuple[int, ...]]] = []
    while left:
        best: Model | None = None
        best_key: tuple[int, int] = (0, 0)
        for model in run.models:
            covered = len(left.intersection(model.parameters))
            key = (covered, -len(model.parameters))
            if covered and (best is None or key > best_key):
                best, best_key = model, key
        if best is None:
            break
        mine = tuple(uid for uid in best.parameters if uid in meant)
        answer.append((best.name, mine))
        left -= set(mine)
    answer += _beside(run, meant, answer)
    if left:
        answer.extend(_without_model(run, left))
    return answer


def _beside(
    run: Run, meant: frozenset[int], named: list[tuple[str, tuple[int, ...]]]
) -> list[tuple[str, tuple[int, ...]]]:
    """Further models that own some of these, but for those that lie inside a model already named, or around it."""
    answer = []
    for model in run.models:
        mine = tuple(uid for uid in model.parameters if uid in meant)
        if not mine or any(model.name == name for name, _ in named):
            continue
        owners = [{o.model: f".{o.fqn}" for o in run.parameters[uid].owners} for uid in mine]
        if not any(all(_nested(names, model.name, name) for names in owners) for name, _ in named):
            answer.append((model.name, mine))
    return answer


def _nested(names: Mapping[str, str], one: str, other: str) -> bool:
    """Whether of two owners of a parameter one lies in the other, by what each calls it."""
    first, second = names.get(one), names.get(other)
    if first is None or second is None:
        return False
    return first != second and (first.endswith(second) or second.endswith(first))


def _without_model(run: Run, uids: Iterable[int]) -> list[tuple[str, tuple[int, ...]]]:
    names: dict[str, list[int]] = {}
    for uid in sorted(uids):
        owners = run.parameters[uid].owners
        names.setdefault(owners[0].model if owners else f"tensor{uid}", []).append(uid)
    return [(name, tuple(found)) for name, found in names.items()]


def fqns(run: Run, model: str, uids: Sequence[int]) -> tuple[str, ...]:
    """Names of parameters inside a model."""
    answer = []
    for uid in uids:
        names = [owner.fqn for owner in run.parameters[uid].owners if owner.model == model]
        answer.append(names[0] if names else run.parameters[uid].name)
    return tuple(answer)


def ran_in(cut: Cut) -> str:
    """Where inside a library it happened, if the user's line only led there."""
    plain = cut.library.startswith(("torch/nn/modules/", "torch/nn/functional.py"))  # what the user calls by name
    return f"it ran in {cut.library}" if cut.library and not plain else ""


def is_frozen(parameter: Parameter) -> bool:
    """Whether a line was seen that froze it, and none that thawed it."""
    return not parameter.trainable and bool(parameter.frozen_at) and bool(parameter.owners)


def is_earlier(run: Run, name: str, uids: Iterable[int]) -> bool:
    """Whether these were in a model of this name, and others are now."""
    if any(run.parameters[uid].buffer for uid in uids):
        return False
    current = {uid for model in run.models if model.name == name for uid in model.parameters}
    return bool(current) and current.isdisjoint(uids)


def covers_model(run: Run, name: str, uids: Collection[int]) -> bool:
    """Whether these are all trainable parameters of the model, or of an earlier one of its name."""
    for model in run.models:
        if model.name == name:
            if is_earlier(run, name, uids):
                return set(fqns(run, name, model.parameters)) <= set(fqns(run, name, tuple(uids)))
            trainable = {uid for uid in model.parameters if run.parameters[uid].trainable or tally(run, uid).backwards}
            return trainable <= set(uids)
    return True


def is_design(run: Run, model: str, uids: Collection[int], place: Cut | Origin | None) -> bool:
    """Whether the code of a package other than torch made it so for a part of a model: not the user's to mend.

    Where no place was seen, it is whoever wrote the whole model.
    """
    theirs = place.third_party if place is not None else any(m.name == model and m.third_party for m in run.models)
    return theirs and not covers_model(run, model, uids)


def is_idle(run: Run, parameter: Parameter) -> bool:
    """Whether the user declared that it gets no gradient."""
    idle = {model.name for model in run.models if model.expected_idle}
    return any(owner.model in idle for owner in parameter.owners)


def is_part(parameter: Parameter, name: str) -> bool:
    """Whether it belongs to the model or the part of one that is called this."""
    return any(f"{owner.model}.{owner.fqn}".startswith(f"{name}.") for owner in parameter.owners)


def numberless(parameter: Parameter) -> str:
    """Its name with `#` for each number: the same for what stands at different places of a list."""
    return ".".join("#" if part.isdigit() else part for part in parameter.name.split("."))


def is_shift(run: Run, uid: int) -> bool:
    """A bias whose sibling weight does get a gradient.

    Biases of keys, of attention scores, before a normalisation and of a critic's last layer only shift what
    the next operation is invariant to: their gradient is zero for ever, by mathematics.
    """
    parameter = run.parameters[uid]
    if len(parameter.shape) > 1 or not parameter.owners:
        return False
    head, _, last = parameter.owners[0].fqn.rpartition(".")
    if "bias" not in last and last not in ("b", "beta", "shift"):
        return False
    model = parameter.owners[0].model
    for other in run.parameters.values():
        if other.uid != uid and len(other.shape) > 1:
            for owner in other.owners:
                if owner.model == model and _module(owner.fqn) == head:
                    count = tally(run, other.uid)
                    if count.backwards and count.zero < count.measured and count.zero_streak < DIED:
                        return True
    return False


def _module(fqn: str) -> str:
    """The module that a parameter, or the original of a parametrized one, belongs to."""
    module, parametrized, _ = f".{fqn}".partition(".parametrizations.")
    return (module if parametrized else module.rpartition(".")[0]).removeprefix(".")


class Subject(NamedTuple):
    """Whom a sentence is about, and whether that is several."""

    words: str
    several: bool


def subject(run: Run, model: str, uids: Sequence[int]) -> Subject:
    """How a sentence calls the victims: the model, one parameter, whole parts of the model, or some parameters."""
    names = fqns(run, model, uids)
    whole = covers_model(run, model, uids) or not names
    if is_earlier(run, model, uids):
        model = f"an earlier {model}"
    if whole:
        return Subject(model, False)
    prefix = _prefix(names)
    part = f"{model}.{prefix}" if prefix else model
    if len(names) == 1:
        return Subject(part, False)
    trainable = _trainable(run, model)
    inside = [name for name in trainable if name.startswith(f"{prefix}.")]
    if prefix and len(names) >= len(inside):
        return Subject(part, False)
    if some := blocks(names, prefix, trainable):
        return Subject(f"{part}.{some}", True)
    return Subject(f"{len(names)}{f' of {len(inside)}' if prefix else ''} parameters of {part}", True)


def _trainable(run: Run, model: str) -> list[str]:
    """Names of the parameters of a model that can be trained."""
    uids = next((found.parameters for found in run.models if found.name == model), ())
    return [name for name, uid in zip(fqns(run, model, uids), uids, strict=True) if run.parameters[uid].trainable]


def _prefix(names: Sequence[str]) -> str:
    parts = [name.split(".") for name in names]
    common = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        common.append(column[0])
    return ".".join(common)


def at(location: Location | None) -> str:
    return f" at {location}" if location is not None else ""


def finding(  # noqa: PLR0913 - the fields of a finding
    rule: tuple[str, str],
    severity: Severity,
    run: Run,
    model: str,
    uids: Sequence[int],
    *,
    state: str,
    cause: str,
    says: str,
    path: Path = (),
    evidence: Evidence = Evidence.OBSERVED,
    also: tuple[Location, ...] = (),
    fix: str = "",
    steps: tuple[int, int] | None = None,
    detail: str = "",
    words: Cause | None = None,
) -> Finding:
    """A finding whose message is: who + what they suffer + the cause in words + where."""
    if words is None and cause not in CAUSES:
        cause = "unknown"  # in the run file of a newer gradscope
    path = path or also[:1]
    location = path[-1] if path else None
    also = tuple(other for other in dict.fromkeys(also) if other != location)
    begins = "; it begins" if cause == "unknown" and words is None and location is not None else ""
    words = words or CAUSES[cause]
    (who, several), said = subject(run, model, uids), words.said
    if several:
        says, said = plural(says), in_plural(said)
    message = f"{who} {says}: {said}{begins}{at(location)}."
    if words is CAUSES["unknown"] and run.traced:
        fix = fix or _UNEXPLAINED
    return Finding(
        rule[0],
        rule[1],
        severity,
        model,
        fqns(run, model, uids),
        state,
        cause,
        evidence,
        message,
        fix or words.fix,
        location,
        path,
        also,
        steps or (0, max(run.steps - 1, 0)),
        detail,
        is_earlier(run, model, uids),
    )


def overflow_words(origin: Origin | None) -> Cause | None:
    """An overflow where nothing is exponentiated is said otherwise."""
    if origin is None or origin.cause != "exp_overflow" or any(n in origin.op.lower() for n in _EXPONENTIAL):
        return None
    return Cause(
        "a value grows beyond what its dtype can hold",
        "scale down what is multiplied or added up there: units, weights, learning rate or the factor itself",
    )


def best_cuts(run: Run) -> dict[int, list[Cut]]:
    """Per parameter, its cuts, likeliest first."""
    answer: dict[int, list[Cut]] = {}
    for cut in run.cuts:
        for uid in cut.parameters:
            answer.setdefault(uid, []).append(cut)
    return answer
