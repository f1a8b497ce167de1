"""The state of every parameter and model over a run, from tallies alone."""

from __future__ import annotations

import math

from gradscope.diagnosis.finding import State
from gradscope.diagnosis.idle import stopped
from gradscope.records import Model, Parameter, Run, Tally
from gradscope.records.once import once
from gradscope.records.zeros import zeros_left

_ORDER = (State.NONFINITE, State.INTERMITTENT, State.ZERO, State.NONE, State.UNUSED, State.FROZEN)


@once
def parameter_states(run: Run) -> dict[int, State]:
    """State per parameter uid."""
    held = {uid for optimizer in run.optimizers for uid in optimizer.parameters}
    if run.backwards and not any(optimizer.steps for optimizer in run.optimizers):
        held = set(run.parameters)  # all that can be trained is meant to be, as GS101 judges
    empty = Tally()
    left = zeros_left(run)
    silent = stopped(run)
    return {
        uid: State.INTERMITTENT
        if (state := _state(p, run.tallies.get(uid, empty), held=uid in held, left=uid in left)) is State.FLOWING
        and uid in silent
        else state
        for uid, p in run.parameters.items()
    }


def _state(parameter: Parameter, tally: Tally, *, held: bool, left: bool) -> State:
    if left and parameter.trainable:
        return State.NONE if tally.backwards or held else State.ZERO
    if tally.backwards == 0:
        if tally.steps_none < tally.steps:  # from torch.func or by hand
            return State.NONFINITE if tally.stepped_nonfinite else State.FLOWING
        if not parameter.trainable:
            return State.FROZEN
        return State.NONE if held else State.UNUSED
    if tally.nonfinite and not _withheld(tally):
        return State.NONFINITE
    if tally.measured and tally.zero == tally.measured:
        return State.ZERO
    if tally.steps_none and tally.steps_none < tally.steps:
        return State.INTERMITTENT
    return State.FLOWING


def _withheld(tally: Tally) -> bool:
    """NaN or Inf came, was never applied (a scaler skipped the step), and good gradients came again."""
    return not tally.stepped_nonfinite and tally.steps > 0 and math.isfinite(tally.norm_last or 0.0)


def model_states(run: Run) -> list[tuple[Model, State]]:
    """State per model: flowing if all that is trainable flows, else the worst that holds for all of it or for some."""
    states = parameter_states(run)
    answer = []
    for model in run.models:
        of_trainable = {states[u] for u in model.parameters if states[u] is not State.FROZEN}
        if not of_trainable:
            state = State.FROZEN
        elif len(of_trainable) == 1:
            state = next(iter(of_trainable))
        elif State.NONFINITE in of_trainable:
            state = State.NONFINITE
        elif State.FLOWING in of_trainable or State.INTERMITTENT in of_trainable:
            state = State.FLOWING
        else:
            state = next(s for s in _ORDER if s in of_trainable)
        answer.append((model, state))
    return answer
