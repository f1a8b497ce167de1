"""GS501 not-in-optimizer: gradients arrive at parameters that no optimizer holds.

They are computed, pile up (nobody clears them) and are never applied. The parameters were forgotten when
the optimizer was built, were replaced or copied afterwards, or came out of an iterator that was already
exhausted; or their module is kept in a plain list, of which the model knows nothing.

Where no optimizer holds a parameter of any module, but tensors that get gradients, an image, a prompt or a latent code
is optimised through models that stay as they are: that is told as info.

One whose value changes all the same is not told: it is updated by hand, or copied from master weights. Nor is one
that an optimizer has stepped and that was taken out of its groups since, but where another tensor took its place
there and not in the model.

Bad:
    criterion = ArcFace(dim, classes)                        # owns a weight
    optimizer = SGD(backbone.parameters(), lr=0.1)
Good:
    optimizer = SGD([*backbone.parameters(), *criterion.parameters()], lr=0.1)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from gradscope.diagnosis.alike import alike
from gradscope.diagnosis.causes import CAUSES, Cause
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import by_model, finding, is_idle, is_part, tally
from gradscope.diagnosis.rules.gs101_no_gradient import copied_into
from gradscope.diagnosis.rules.masters import fed_by_hand, steps_copies
from gradscope.diagnosis.rules.put_aside import put_aside
from gradscope.records import WRAPPED, Backward, Location, Optimizer, OptimizerStep, Parameter, Path, Run
from gradscope.records.former import former
from gradscope.records.once import once

CODE = ("GS501", "not-in-optimizer")
_LEFT_OUT = CAUSES["not_in_optimizer"]._replace(
    said="it gets gradients, but no optimizer holds it, not even the one that is given parameters"
)
_USED_UP = Cause(
    "the iterator over its parameters was used up before the optimizer got it",
    "make it a list: it can be gone through only once",
)
_FROZEN = Cause(
    "it was still frozen when the optimizer was built, and was left out",
    "unfreeze it before the optimizer is built, or hand it over with add_param_group() when it is unfrozen",
)
_COPY = Cause(
    "the optimizer was built for the original, and the copy is what is trained",
    "build the optimizer after the copy is made, from its parameters",
)
_SWAPPED = Cause(
    "its original, which the optimizer holds, was trained at first; then this copy took its place, made",
    "put the original back before training goes on, or give the optimizer the parameters of the copy",
)
_MASTERS = Cause(
    "the optimizer steps copies of it, and their values are never written back",
    "write the values of the copies into the parameters after each step",
)
_THROUGH = Cause(
    "the optimizers hold no module, only tensors that are optimised through it",
    "if it is to learn, pass its parameters to an optimizer; if not, freeze it with requires_grad_(False)",
)
_BEFORE = "after the optimizer had been given the old ones"
_HIDDEN = "parameters() does not look into plain lists and dicts: keep it in an nn.ModuleList or nn.ModuleDict"
LIVED = 3
"""Passes that an earlier instance of a model has to have had; fewer are those of one built anew in every turn."""
DRIFTS = 2
"""Changes that were seen of a value that no optimizer holds: then the user updates it in another way."""


def check(run: Run) -> Iterable[Finding]:
    """One finding per reason and model."""
    if not any(optimizer.steps for optimizer in run.optimizers):
        return
    yield from put_aside(run, CODE)
    run = _with_former(run)
    held = {uid for optimizer in run.optimizers for uid in (*optimizer.parameters, *optimizer.past)}
    # a copy whose gradients are carried to its original by hand; one made out of sight is known by name and shape
    fed = fed_by_hand(run)
    instead = {cut.detail for cut in run.cuts if cut.cause == "copied" and cut.detail}
    alike = set().union(*(_likenesses(run.parameters[u]) for u in fed if u in run.parameters))
    wrapped = {cut.path[-1] for cut in run.cuts if cut.op == WRAPPED and cut.path}
    copies = copied_into(run)  # GS101 tells that only values go there
    inputs = _only_inputs(run)
    groups: dict[tuple[str, Path], dict[int, tuple[Location, ...]]] = {}
    for uid, parameter in run.parameters.items():
        if uid in held or not parameter.owners or not tally(run, uid).backwards or is_idle(run, parameter):
            continue
        if uid in copies or parameter.evaluating or not parameter.trainable or parameter.drifts >= DRIFTS:
            continue
        if any(is_part(parameter, name) for name in instead):
            continue  # that it is called at all is what is wrong
        if parameter.copy_of in fed if parameter.copy_of is not None else alike & _likenesses(parameter):
            continue
        if parameter.replaced > 1 and parameter.copy_of is not None and _lives_on(run, parameter.copy_of, uid):
            continue  # a copy for an inner loop, made anew in every turn beside the original
        if parameter.replaced > 1 and wrapped.intersection(parameter.registered[-1:]):
            continue  # made anew in every turn of what others computed, which GS101 tells
        cause, path, beside = _why(run, uid, held)
        groups.setdefault((cause, path), {})[uid] = beside
    for (cause, path), uids in groups.items():
        for model, mine in by_model(run, list(uids)):
            also = uids[mine[0]] if len({uids[u] for u in mine}) == 1 else ()
            yield finding(
                CODE,
                Severity.INFO if inputs else Severity.ERROR,
                run,
                model,
                mine,
                state="flowing",
                cause=cause,
                words=_THROUGH if inputs else _words(run, cause, path, mine, also),
                says="is never updated",
                path=path,
                evidence=Evidence.OBSERVED,
                also=also,
                fix=_HIDDEN if cause == "not_in_optimizer" and _is_hidden(run, model) else "",
            )


def _only_inputs(run: Run) -> bool:
    """Whether no optimizer holds a parameter of a module, and all train tensors that do get gradients.

    Then an image, a prompt or a latent code is what is optimised, through models that stay as they are.
    """
    held = {uid for o in run.optimizers if o.steps for uid in (*o.parameters, *o.past)}
    if any(o.exhausted or not all(group.parameters for group in o.groups) for o in run.optimizers):
        return False  # more was to be trained
    return bool(held) and all(tally(run, uid).backwards and not run.parameters[uid].module for uid in held)


def _with_former(run: Run) -> Run:
    """The run with the names of parameters of earlier instances that lived for more than a turn."""
    former = {
        uid: replace(p, owners=p.former)
        for uid, p in run.parameters.items()
        if p.former and not p.owners and tally(run, uid).backwards >= LIVED
    }
    return replace(run, parameters={**run.parameters, **former}) if former else run


def _why(run: Run, uid: int, held: set[int]) -> tuple[str, Path, tuple[Location, ...]]:
    parameter = run.parameters[uid]
    optimizer = _sibling_optimizer(run, uid)
    built = optimizer.built if optimizer is not None else ()
    if parameter.copy_of is not None and parameter.copy_of in held:
        return "copied", parameter.copied_at or parameter.registered, _last(built)
    if parameter.replaces is not None and parameter.replaces in held and _steps_on(run, parameter.replaces, uid):
        if parameter.late or parameter.replaced > 1:
            return "stale_parameter", _replaced_at(parameter), _last(built)
        return "stale_parameter", built, _last(parameter.registered)
    if optimizer is not None and optimizer.exhausted:
        return "not_in_optimizer", optimizer.exhausted, _last(built)
    if optimizer is not None and not all(group.parameters for group in optimizer.groups):
        return "not_in_optimizer", built, ()
    removed = _removed(run, parameter)
    abandoned = removed or _abandoned(run)
    if abandoned is not None:
        if steps_copies(run, abandoned, parameter):
            return "copied", abandoned.built, ()
        if parameter.replaced > 1 or (removed and parameter.late):
            return "stale_parameter", _replaced_at(parameter), _last(abandoned.built)
        return "stale_parameter", abandoned.built, _last(parameter.registered)
    if optimizer is None:
        return "not_in_optimizer", (), ()
    added = [path for path in optimizer.added if path and path != built]
    return "not_in_optimizer", added[-1] if added else built, _last(built) if added else ()


def _steps_on(run: Run, old: int, new: int) -> bool:
    """Whether the optimizer of the old tensor has stepped since the new one got gradients."""
    came = next((event.clock for event in run.backward_events if new in event.norms), math.inf)
    holders = {o.uid for o in run.optimizers if old in o.parameters or old in o.past}
    return any(event.clock > came for event in run.step_events if event.optimizer in holders)


def _words(run: Run, cause: str, path: Path, uids: Collection[int], also: tuple[Location, ...]) -> Cause | None:
    """What is known beyond the cause."""
    if cause == "stale_parameter":
        return _replaced_words(run, path, uids, also)
    if cause == "copied":
        if path and any(optimizer.built == path for optimizer in run.optimizers):
            return _MASTERS
        originals = [run.parameters[u].copy_of for u in uids]
        return _SWAPPED if all(o is not None and tally(run, o).backwards for o in originals) else _COPY
    if cause != "not_in_optimizer":
        return None
    if path and any(optimizer.exhausted == path for optimizer in run.optimizers):
        return _USED_UP
    frozen = all((o := _sibling_optimizer(run, u)) is not None and u in o.frozen for u in uids)
    return _FROZEN if frozen else _LEFT_OUT if path else None


def _replaced_words(run: Run, path: Path, uids: Collection[int], also: tuple[Location, ...]) -> Cause | None:
    """Which line replaced what the optimizer holds, where that is sure; it is said of the optimizer's line."""
    lines = {run.parameters[u].registered[-1:] for u in uids}
    if not path or not also or lines != {also}:
        return None
    built, there = path[-1], also[0]
    below = (there.file, there.function) == (built.file, built.function) and there.line > built.line
    if not below and any(run.parameters[u].replaces is None for u in uids):
        return None
    return CAUSES["stale_parameter"]._replace(said=f"its tensors were replaced at {there}, {_BEFORE}")


def _is_hidden(run: Run, model: str) -> bool:
    """Whether it was found in a plain list or dict that is an attribute of another model: `net.branches[0]`."""
    return "[" in model and any(model.startswith(f"{other.name}.") for other in run.models)


def _replaced_at(parameter: Parameter) -> Path:
    """The line that put the new tensor, or the new module that holds it, in place of the old.

    It came while training ran, so that a constructor on the way is that of a model that was built anew.
    """
    path = parameter.registered if parameter.rebound else parameter.built or parameter.registered
    begins = len(path)
    while begins and path[begins - 1].function != "__init__":
        begins -= 1
    while begins and path[begins - 1].function == "__init__":
        begins -= 1
    return path[:begins] or path


def _removed(run: Run, parameter: Parameter) -> Optimizer | None:
    """An optimizer that goes on stepping a tensor that this parameter's own model had before and has no more."""
    names = {owner.model for owner in parameter.owners}
    gone = {u for u in former(run) if any(o.model in names for o in run.parameters[u].owners)}
    stale = {u for u in gone if _steps_on(run, u, parameter.uid) and not _lives_on(run, u, parameter.uid)}
    return next((o for o in run.optimizers if o.steps and stale.intersection(o.parameters)), None)


def _lives_on(run: Run, old: int, new: int) -> bool:
    """Whether the one tensor got gradients after the other had: then it came later, or beside it."""
    came = next((event.clock for event in run.backward_events if new in event.norms), math.inf)
    return any(event.clock > came and old in event.norms for event in run.backward_events)


def _abandoned(run: Run) -> Optimizer | None:
    """An optimizer with a tensor that no model holds and that never gets a gradient: its model was changed later."""
    for optimizer in run.optimizers:
        for other in optimizer.parameters:
            if not run.parameters[other].owners and not tally(run, other).backwards and optimizer.steps:
                return optimizer
    return None


def _likenesses(parameter: Parameter) -> set[tuple[str, tuple[int, ...]]]:
    return {(owner.fqn, parameter.shape) for owner in parameter.owners}


def _sibling_optimizer(run: Run, uid: int) -> Optimizer | None:
    """The optimizer most likely meant: it holds other parameters of the same model, else the one built last."""
    empty = [o for o in run.optimizers if o.exhausted]
    if empty:
        return empty[0]
    models = {owner.model for owner in run.parameters[uid].owners}
    family = {u for model in run.models if model.name in models for u in model.parameters}
    meanwhile = _stepped_meanwhile(run, uid)
    stepped = [o for o in run.optimizers if o.uid in meanwhile or (o.steps and not meanwhile)] or list(run.optimizers)
    related = [o for o in stepped if family.intersection(o.parameters)]
    found = related or stepped
    return next((o for o in found if o.uid == _steps_next(run).get(uid)), found[-1]) if found else None


@once
def _steps_next(run: Run) -> dict[int, int]:
    """Per parameter the optimizer that most often is the first to step after a pass that reached it.

    Of two that both hold the critic it is the generator's that should have held the generator.
    """
    votes: dict[int, Counter[int]] = {}
    reached: set[int] = set()
    for event in alike(run).events:
        if isinstance(event, Backward):
            reached.update(event.norms)
        elif isinstance(event, OptimizerStep):
            for uid in reached:
                votes.setdefault(uid, Counter())[event.optimizer] += 1
            reached.clear()
    chosen = {uid: counts.most_common(2) for uid, counts in votes.items()}
    return alike(run).all({uid: best[0][0] for uid, best in chosen.items() if len(best) < 2 or best[0][1] > best[1][1]})


def _stepped_meanwhile(run: Run, uid: int) -> set[int]:
    """Optimizers that stepped from the first pass that reached a parameter to the last."""
    clocks = [event.clock for event in run.backward_events if uid in event.norms]
    return {e.optimizer for e in run.step_events if clocks and clocks[0] < e.clock < clocks[-1]}


def _last(path: Path) -> tuple[Location, ...]:
    return path[-1:]


RULE = Rule(*CODE, check, __doc__ or "")
