"""Two runs side by side: what changed, and since which step. Pure; no torch.

Parameters are matched by name (`model.fqn`), steps by number. A parameter *differs* at a step where its gradient was of
another kind (none, zero, non-finite, there); a model *drifts* where only the size of its gradient differs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gradscope.diagnosis import diagnose
from gradscope.diagnosis.finding import State
from gradscope.diagnosis.states import model_states, parameter_states
from gradscope.records.sizes import median

if TYPE_CHECKING:
    from gradscope.diagnosis.finding import Finding
    from gradscope.records import Run

TOLERANCE = 0.01
"""Relative difference of a model's gradient norm from which on it drifts: beyond what another thread count does."""

Series = dict[int, dict[str, float | None]]
"""Per step with a backward pass, per parameter that received a gradient there: its norm, None if not measured."""


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One model in both runs; its state is None in a run that does not have it."""

    model: str
    before: State | None
    after: State | None
    norm_before: float | None
    """Median over the steps of the 2-norm of its gradient."""
    norm_after: float | None
    differs_since: int | None
    """The first step at which some parameter's gradient was of another kind."""
    parameters: tuple[str, ...]
    """The parameters that differ at any common step, by name inside the model."""
    drifts_since: int | None
    """The first step at which its norm differed by more than the tolerance."""
    flowing_before: tuple[int, int] = (0, 0)
    """How many of its trainable parameters flow, and how many are trainable."""
    flowing_after: tuple[int, int] = (0, 0)

    @property
    def same(self) -> bool:
        alike = self.before == self.after and self.flowing_before == self.flowing_after
        return alike and self.differs_since is None and self.drifts_since is None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Run A (before) against run B (after)."""

    steps: tuple[int, int]
    models: tuple[ModelChange, ...]
    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    common: tuple[Finding, ...]
    """Findings of both runs, as the second one has them."""

    @property
    def same(self) -> bool:
        return not self.new and not self.gone and all(change.same for change in self.models)


def compare(before: Run, after: Run, *, tolerance: float = TOLERANCE) -> Comparison:
    """What changed from one run to the other."""
    states = dict(_states(before)), dict(_states(after))
    series = _series(before), _series(after)
    names = dict.fromkeys([*states[0], *states[1]])
    found = {_key(f): f for f in diagnose(before)}, {_key(f): f for f in diagnose(after)}
    return Comparison(
        steps=(before.steps, after.steps),
        models=tuple(
            replace(
                _change(name, states, series, tolerance),
                flowing_before=_flowing(before, name),
                flowing_after=_flowing(after, name),
            )
            for name in names
        ),
        new=tuple(f for key, f in found[1].items() if key not in found[0]),
        gone=tuple(f for key, f in found[0].items() if key not in found[1]),
        common=tuple(f for key, f in found[1].items() if key in found[0]),
    )


def _states(run: Run) -> list[tuple[str, State]]:
    return [(model.name, state) for model, state in model_states(run)]


def _flowing(run: Run, name: str) -> tuple[int, int]:
    """How many parameters of a model flow, and how many can be trained."""
    states = parameter_states(run)
    uids = [uid for model in run.models if model.name == name for uid in model.parameters]
    flow = sum(states[uid] in (State.FLOWING, State.INTERMITTENT) for uid in uids)
    return flow, sum(run.parameters[uid].trainable for uid in uids)


def _key(finding: Finding) -> tuple[str, str, str]:
    # Not the line: the edit between two runs moves lines.
    return finding.code, finding.model, finding.cause


def _series(run: Run) -> dict[str, Series]:
    """Per model the gradients of its parameters over the steps."""
    named = {
        uid: (owner.model, owner.fqn) for uid, parameter in run.parameters.items() for owner in parameter.owners[:1]
    }
    steps = sorted({event.step for event in run.backward_events})
    answer: dict[str, Series] = {model.name: {step: {} for step in steps} for model in run.models}
    for event in run.backward_events:
        for uid, norm in event.norms.items():
            model, fqn = named.get(uid, ("", ""))
            if model in answer:
                # The norm after the last backward of the step is that of everything it accumulated.
                answer[model][event.step][fqn] = norm
    return answer


def _change(
    name: str,
    states: tuple[dict[str, State], dict[str, State]],
    series: tuple[dict[str, Series], dict[str, Series]],
    tolerance: float,
) -> ModelChange:
    before, after = series[0].get(name, {}), series[1].get(name, {})
    differing: dict[str, int] = {}
    drifts = None
    for step in sorted(before.keys() & after.keys()):
        for fqn in before[step].keys() | after[step].keys():
            if _kind(before[step], fqn) != _kind(after[step], fqn):
                differing.setdefault(fqn, step)
        if drifts is None and not _close(_norm(before[step]), _norm(after[step]), tolerance):
            drifts = step
    return ModelChange(
        model=name,
        before=states[0].get(name),
        after=states[1].get(name),
        norm_before=_median(before),
        norm_after=_median(after),
        differs_since=min(differing.values(), default=None),
        parameters=tuple(sorted(differing, key=lambda fqn: (differing[fqn], fqn))),
        drifts_since=drifts,
    )


def _kind(norms: dict[str, float | None], fqn: str) -> str:
    if fqn not in norms:
        return "none"
    norm = norms[fqn]
    if norm is None:
        return "there"
    if not math.isfinite(norm):
        return "nonfinite"
    return "there" if norm else "zero"


def _norm(norms: dict[str, float | None]) -> float | None:
    measured = [norm for norm in norms.values() if norm is not None]
    return math.hypot(*measured) if measured else None


def _close(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None:
        return True  # Where there is nothing to measure the kinds tell the difference.
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=tolerance)


def _median(series: Series) -> float | None:
    norms: defaultdict[bool, list[float]] = defaultdict(list)
    for step in series.values():
        norm = _norm(step)
        if norm is not None:
            norms[math.isfinite(norm)].append(norm)
    return median(norms[True]) if norms[True] else next(iter(norms[False]), None)
