"""GS103 frozen: requires_grad is False where training was meant.

What the user froze is not blamed. It is told only where the code itself says that training was meant:

* a whole optimizer steps and nothing it holds requires a gradient;
* it was handed to an optimizer that was stepping already, or by a call of `add_param_group()`, and stays frozen;
* it was trained, then frozen, and then given, as a group of its own, to an optimizer built for a later phase;
* it was frozen for an earlier phase, and is all that the optimizer of a later one, where it has a group, holds anew;
* an optimizer holds it, and the module that holds it has an attribute `requires_grad = True`, which does nothing;
* an optimizer holds it, and the loop freezes it in each turn without thawing it again;
* a term of the loss was computed, with gradients on, from frozen parameters only, and an optimizer holds them or they
  were frozen by default: by a flag, and no line that led there says False;
* one call froze, together with weights that had been loaded, others that are still at random;
* an optimizer holds it, and it was copied, with all that was copied there, from what is frozen: the copy is frozen too;
* an optimizer holds it, and a shallow copy of its model was frozen, which has the same layers;
* an optimizer holds it, it is a layer that its model shares with another, and all of that other was frozen later;
* `nn.Embedding.from_pretrained()` froze it, which nobody asked for, and it is a group of its own in an optimizer;
* an optimizer holds a buffer, which requires no gradient;
* one line froze what the optimizer was not given and also some of what it was, whose numbered siblings train: a name
  filter that catches `blocks.10` with `blocks.1`.

Bad:
    for p in discriminator.parameters(): p.requires_grad = False    # and never True again
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradscope.diagnosis.causes import Cause
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.idle import kept_frozen
from gradscope.diagnosis.rules.common import by_model, finding, is_frozen, is_idle, tally
from gradscope.diagnosis.rules.phases import given_later
from gradscope.diagnosis.rules.shallow import frozen_with_its_copy
from gradscope.records import FROZEN_RANK, Owner, Parameter, Path, Run

CODE = ("GS103", "frozen")
STEPS = 3
"""Steps of an optimizer without any gradient before it is told."""
PATIENCE = 20
"""Steps of one that was given before training, which may yet be thawed after a warm-up."""
ONCE = 1
"""Thaws of what is frozen for good: the one before the loop. What is thawed now and then is frozen more often, too."""
MOST = 0.5
"""Share of its optimizer that has to be stuck: freezing a part for a later phase is usual."""

_BY_DEFAULT = Cause("from_pretrained() freezes unless told otherwise", "pass freeze=False to it")
MISSET = "stays frozen, because requires_grad = True was set on a module and not on its parameters"
_BUFFER = Cause(
    "it is a buffer, which requires no gradient, also where an optimizer is given it",
    "make it an nn.Parameter instead of register_buffer()",
)
SHARED = "is frozen with the other model that its layers belong to"
COPIED = "stays frozen, as a copy of what is frozen"
SHALLOW = "is frozen with its copy, since copy.copy() copies no layers"
DEFAULT = "stays frozen, though the optimizer has a group for it"
_FIXES = {
    MISSET: "call requires_grad_(True) on the module; setting an attribute of that name does nothing",
    SHARED: "give the model layers of its own: copy.deepcopy() where they are taken",
    COPIED: "call requires_grad_(True) on the copy",
    SHALLOW: "take copy.deepcopy() of the model",
}


def check(run: Run) -> Iterable[Finding]:
    """One finding per freezing line and model."""
    told: set[int] = set()
    merged: dict[tuple[Severity, str], list[int]] = {}
    for uids, severity, says in (
        *_idle_optimizers(run),
        *_not_thawed(run),
        *given_later(run),
        *_toggled(run),
        *_dead_terms(run),
        *_half_loaded(run),
        *_caught(run),
        *_copied(run),
        *_shared(run),
        *((uids, Severity.WARNING, SHALLOW) for uids in frozen_with_its_copy(run)),
        *_by_default(run),
        *_buffers(run),
    ):
        merged.setdefault((severity, says), []).extend(uids)
    for (severity, says), uids in merged.items():
        fresh = [u for u in uids if u not in told and not is_idle(run, run.parameters[u])]
        told.update(fresh)
        groups: dict[Path, list[int]] = {}
        for uid in fresh:
            groups.setdefault(_frozen_at(run, run.parameters[uid]), []).append(uid)
        for path, group in groups.items():
            for model, mine in _sharing(run, group) if says == SHARED else by_model(run, group):
                yield finding(
                    CODE,
                    severity,
                    run,
                    model,
                    mine,
                    state="frozen",
                    cause="requires_grad_false",
                    says=says,
                    path=path,
                    evidence=Evidence.INFERRED,
                    also=_beside(run.parameters[mine[0]], says) or path[-2:-1],
                    fix=_FIXES.get(says, ""),
                    words=_BUFFER if run.parameters[mine[0]].buffer else _BY_DEFAULT if says == DEFAULT else None,
                )


def _idle_optimizers(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    """Optimizers that go on stepping although all they hold is frozen."""
    for optimizer in run.optimizers:
        events = [e for e in run.step_events if e.optimizer == optimizer.uid]
        if len(events) < STEPS or any(e.norms for e in events[-STEPS:]):
            continue
        frozen = [u for u in optimizer.parameters if not run.parameters[u].trainable and run.parameters[u].owners]
        if frozen and len(frozen) == len(optimizer.parameters):
            ever = any(e.norms for e in events)
            yield frozen, Severity.ERROR, "gets no gradient any more" if ever else "gets no gradient"


def _not_thawed(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    """Handed over for a later phase, or told to require gradients in a way that does nothing."""
    for optimizer in run.optimizers:
        frozen = {u for u in optimizer.parameters if is_frozen(run.parameters[u]) and tally(run, u).steps >= STEPS}
        frozen = {u for u in frozen if not tally(run, u).backwards}
        misset = [u for u in frozen if run.parameters[u].misset]
        if misset:
            yield misset, Severity.ERROR, MISSET
        groups = [optimizer.groups[number].parameters for number in optimizer.joined]
        late = [u for group in groups if frozen.issuperset(group) for u in group]
        if late:
            yield late, Severity.ERROR, "stays frozen although it was handed to the stepping optimizer"
        added = [g.parameters for g, path in zip(optimizer.groups, optimizer.added, strict=False) if _by_call(path)]
        given = [u for group in added if frozen.issuperset(group) for u in group]
        if given and not late and optimizer.steps >= PATIENCE:
            yield given, Severity.WARNING, "stays frozen although add_param_group() gave it to the optimizer"


def _by_call(path: Path) -> bool:
    return bool(path) and ".add_param_group(" in path[-1].text


def _toggled(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    """Frozen again and again in the loop, and not thawed as its companions are."""
    thawed = {p.frozen_line for p in run.parameters.values() if p.thaws >= STEPS - 1}
    for optimizer in run.optimizers:
        held = [run.parameters[u] for u in optimizer.parameters if run.parameters[u].owners]
        stuck = [p for p in held if not p.trainable and p.freezes >= STEPS and p.thaws <= ONCE]
        stuck = [p for p in stuck if p.uid not in kept_frozen(run)]  # it may have been trained before, on purpose
        most = len(stuck) >= MOST * len(held)
        uids = [p.uid for p in stuck if most or p.frozen_line in thawed]
        kept_from = not optimizer.steps and len(stuck) == len(held)  # by `if loss.requires_grad`, while others step
        if uids and (optimizer.steps >= STEPS or (kept_from and any(o.steps >= STEPS for o in run.optimizers))):
            yield uids, Severity.ERROR, "is frozen in every turn of the loop and never thawed"


def _dead_terms(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    held = {u for o in run.optimizers if o.steps >= STEPS for u in o.parameters}  # what none holds may be a teacher
    for cut in run.cuts:
        if cut.cause != "requires_grad_false" or cut.rank != FROZEN_RANK:
            continue
        frozen = [u for u in cut.parameters if is_frozen(run.parameters[u]) and not tally(run, u).backwards]
        frozen = [u for u in frozen if u in held or _by_flag(run.parameters[u])]
        if frozen:
            yield (
                _frozen_last(run, frozen),
                Severity.WARNING,
                "gets no gradient from a term of the loss that depends on it alone",
            )


def _by_flag(parameter: Parameter) -> bool:
    """A line that goes by a flag froze it, and nobody wrote that it should: the flag is False by default."""
    texts = [line.text for line in parameter.frozen_at]
    whole = all(text.count("(") == text.count(")") for text in texts)  # else an argument is on another line
    return whole and "requires_grad" in texts[-1] and not any("False" in text for text in texts)


def _frozen_last(run: Run, uids: list[int]) -> list[int]:
    """Of several freezing lines the last one: what was frozen before it may be a backbone."""
    last = max(run.parameters[u].frozen_clock for u in uids)
    line = next(run.parameters[u].frozen_at for u in uids if run.parameters[u].frozen_clock == last)
    return [u for u in uids if run.parameters[u].frozen_at[-1:] == line[-1:]]


def _half_loaded(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    groups: dict[Path, list[Parameter]] = {}
    for parameter in run.parameters.values():
        if is_frozen(parameter) and not tally(run, parameter.uid).backwards:
            groups.setdefault(parameter.frozen_at, []).append(parameter)
    for members in groups.values():
        random = [p.uid for p in members if not p.loaded]
        if random and len(random) < len(members) and _siblings_train(run, random):
            yield random, Severity.WARNING, "is frozen at its random initial value, together with loaded weights"


def _caught(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    held = {u for optimizer in run.optimizers if optimizer.steps for u in optimizer.parameters}
    left_out = {p.frozen_at for p in run.parameters.values() if is_frozen(p) and p.uid not in held}
    training = {_pattern(run.parameters[u]) for u in held if tally(run, u).backwards}
    uids = [
        u
        for u in sorted(held)
        if is_frozen(p := run.parameters[u]) and p.frozen_at in left_out and _pattern(p) in training
    ]
    if uids and not any(tally(run, u).backwards for u in uids):
        yield uids, Severity.ERROR, "is frozen although the optimizer was given it and not the others that line froze"


def _copied(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    copies: dict[Path, list[Parameter]] = {}
    for parameter in run.parameters.values():
        if parameter.copied_at:
            copies.setdefault(parameter.copied_at, []).append(parameter)
    held = {u for o in run.optimizers if o.steps >= STEPS for u in o.parameters}
    for together in copies.values():
        inherited = all(not p.trainable and not p.frozen_line and _origin(run, p) is not None for p in together)
        uids = [p.uid for p in together if p.uid in held and p.owners]
        if inherited and uids and not any(tally(run, u).backwards for u in uids):
            yield uids, Severity.WARNING, COPIED


def _shared(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    held = {u for o in run.optimizers if o.steps >= STEPS for u in o.parameters}
    for other in run.models:
        own = [run.parameters[u] for u in other.parameters]
        mine = [p for p in own if p.uid in held and p.shared_at and is_frozen(p)]
        ours = [p.uid for p in mine if not tally(run, p.uid).backwards]
        rest = [p for p in own if p.uid not in held]
        runs = rest and run.never_used.isdisjoint(p.uid for p in rest)  # it is no mere donor of layers
        if ours and runs and len(rest) + len(ours) == len(own) and len({p.frozen_at for p in own}) == 1:
            yield [u for u in ours if _siblings_train(run, [u])], Severity.WARNING, SHARED


def _sharing(run: Run, uids: list[int]) -> list[tuple[str, tuple[int, ...]]]:
    """The models that train otherwise, and what each has of these."""
    shares = [(m.name, tuple(u for u in m.parameters if u in uids)) for m in run.models if _trains(run, m.name)]
    return [(model, mine) for model, mine in shares if mine]


def _beside(parameter: Parameter, says: str) -> Path:
    """The line without which freezing would have done no harm."""
    return parameter.copied_at[-1:] if says == COPIED else parameter.shared_at[-1:] if says == SHARED else ()


def _by_default(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    for optimizer in run.optimizers:
        groups = optimizer.groups if optimizer.steps >= STEPS and len(optimizer.groups) > 1 else ()
        for group in groups:
            members = [run.parameters[u] for u in group.parameters]
            if members and all(is_frozen(p) and _unasked(p) and not tally(run, p.uid).backwards for p in members):
                yield list(group.parameters), Severity.WARNING, DEFAULT


def _unasked(parameter: Parameter) -> bool:
    """A call that freezes by default froze it, and does not say so: the call is whole on its line."""
    text = parameter.frozen_at[-1].text
    whole = text.count("(") == text.count(")")
    return not parameter.frozen_line and whole and ".from_pretrained(" in text and "freeze" not in text


def _origin(run: Run, parameter: Parameter) -> Parameter | None:
    """What a parameter was copied from, where that was frozen by a line of its own."""
    source = run.parameters.get(parameter.copy_of) if parameter.copy_of is not None else None
    return source if source is not None and source.frozen_line else None


def _buffers(run: Run) -> Iterable[tuple[list[int], Severity, str]]:
    held = dict.fromkeys(u for o in run.optimizers if o.steps >= STEPS for u in o.parameters)
    uids = [u for u in held if run.parameters[u].buffer and not run.parameters[u].trainable]
    if uids:
        yield uids, Severity.ERROR, "gets no gradient"


def _frozen_at(run: Run, parameter: Parameter) -> Path:
    if parameter.buffer:
        return next((o.built for o in run.optimizers_of(parameter.uid)), ())
    source = _origin(run, parameter) if not parameter.frozen_line else None
    return source.frozen_at if source is not None else parameter.frozen_at


def _pattern(parameter: Parameter) -> tuple[str, str, tuple[int, ...]]:
    """The same for parameters whose names differ in numbers only."""
    owner = parameter.owners[0] if parameter.owners else Owner("", "")
    return owner.model, re.sub(r"\d+", "#", owner.fqn), parameter.shape


def _siblings_train(run: Run, uids: list[int]) -> bool:
    return any(_trains(run, model) for model in {owner.model for u in uids for owner in run.parameters[u].owners})


def _trains(run: Run, model: str) -> bool:
    return any(tally(run, u).backwards for each in run.models if each.name == model for u in each.parameters)


RULE = Rule(*CODE, check, __doc__ or "")
