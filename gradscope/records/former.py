"""Former parameters: what a model had, and has no more since another tensor took its place or it was removed."""

from __future__ import annotations

from gradscope.records import Run
from gradscope.records.once import once


@once
def former(run: Run) -> frozenset[int]:
    """Parameters with an owner of which no model consists now."""
    now = {uid for model in run.models for uid in model.parameters}
    return frozenset(uid for uid, parameter in run.parameters.items() if parameter.owners and uid not in now)


@once
def ever(run: Run) -> dict[str, tuple[int, ...]]:
    """Per model what it consists of and what it had before: gradients reached it through both."""
    found = {model.name: model.parameters for model in run.models}
    for uid in sorted(former(run)):
        for name in {owner.model for owner in run.parameters[uid].owners} & found.keys():
            found[name] = (*found[name], uid)
    return found


@once
def left_behind(run: Run) -> frozenset[int]:
    """Former parameters of models in which something else gets gradients that no optimizer holds: GS501 tells of that.

    Not those of a model that was built anew, with an optimizer of its own: its first life is judged as any other.
    """
    held = {uid for optimizer in run.optimizers for uid in optimizer.parameters}
    loose = {u for u, count in run.tallies.items() if count.backwards and u not in held}
    instead = {model.name for model in run.models if not loose.isdisjoint(model.parameters)}
    return frozenset(u for u in former(run) if any(o.model in instead for o in run.parameters[u].owners))
