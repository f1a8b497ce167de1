"""GS101 no-gradient: what an optimizer should train never receives a gradient.

An optimizer that holds a parameter and steps says that it is meant to learn. If not one backward pass
delivers a gradient to it between two steps, it does not, however well the loss goes down.

The usual reasons, most frequent first: its output is detached; it computes under no_grad; its value goes
through .item(), numpy or torch.tensor; only an index chosen by it is used; its loss is never
backpropagated; it is frozen; another copy of it is trained.

Bad:
    features = encoder(x).detach()
    loss = criterion(decoder(features), y)
Good:
    features = encoder(x)
    loss = criterion(decoder(features), y)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gradscope.diagnosis.causes import CAUSES, Cause, how_to_learn_the_line
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.rules.common import (
    best_cuts,
    by_model,
    covers_model,
    finding,
    is_design,
    is_idle,
    is_part,
    is_shift,
    ran_in,
    subject,
    tally,
)
from gradscope.diagnosis.rules.gs510_moves_without_gradient import moving
from gradscope.diagnosis.rules.off import off_words
from gradscope.records import DERIVATIVE, ELSEWHERE, EVALUATED, LATE, LOAD, SAVE, WRAPPED, Cut, Origin, Path, Run
from gradscope.records.former import left_behind
from gradscope.records.traced import CARRIED, STRAIGHT_THROUGH
from gradscope.records.zeros import zeros_left

CODE = ("GS101", "no-gradient")
_THREAD = Cause(
    "the line was not found, as it runs in another thread than the one that was traced",
    "run the whole step in the main thread, to learn the line",
)
_THREAD_OFF = Cause(
    "it runs in another thread, in which gradients are switched off,",
    "switch them on in that thread (each has a mode of its own), or call it in the thread that trains",
)
_SAMPLED = "use rsample(); a distribution that has none is trained through the log_prob() of its sample"
_BLOCKED = ("no_grad", "inference_mode", "detach")
_ANEW = "and as this ran only once, before the loop, compute it anew in each step"
_DETACHED = {
    CARRIED: "compute it anew in each step, and not once before the loop; what one step hands to the next may be"
    " detached, but not what the first begins with",
    STRAIGHT_THROUGH: "of x + (y - x).detach() only x gets the gradient: let it be that x, or train it with a term of"
    " its own in the loss (a codebook or commitment loss)",
}
_LEFT_OUT = Cause(
    "the loss depends on it, but this backward() does not deliver to it",
    "if backward() is given inputs=..., name its parameters there as well, or leave inputs out",
)
_SAVED = Cause(
    "what it computes is written down and read again, and only the values are read", "hand on the tensor itself"
)
_FIRST_ORDER = Cause(
    "a derivative is taken without create_graph=True, which makes it a constant",
    "call torch.autograd.grad(..., create_graph=True)",
)
_EVALUATED = Cause(
    "no training step calls it, only what runs without gradients",
    "call it on the way to the loss as well, or take it out of the optimizer",
)
_LATE = Cause(
    "it is never called: a function made in a loop reads the loop's variable only when it is called, which is the last"
    " one by then,",
    "give the function a value of its own: lambda x, net=net: net(x)",
)
_STATE_DICT = "torch/nn/modules/module.py:"
"""In which nothing but state_dict() detaches."""
_LISTED = Cause(
    "state_dict() hands on its values without their history",
    "use dict(model.named_parameters()) instead of state_dict()",
)
_WRAPPED = Cause(
    "its result is made into a new nn.Parameter, which keeps the values and has no history",
    "hand over the result itself: torch.func.functional_call(module, {name: result}, inputs)",
)


def missing(run: Run) -> list[int]:
    """Parameters that their optimizers stepped, that required a gradient, and that never received one."""
    stepped = any(optimizer.steps for optimizer in run.optimizers)
    left = _zeros_that_stay(run)
    old = left_behind(run)
    answer = []
    for uid, parameter in run.parameters.items():
        if uid in old:
            continue
        count = tally(run, uid)
        if (count.backwards and uid not in left) or is_idle(run, parameter) or not parameter.owners:
            continue
        if stepped:
            if count.trainable_steps and (count.steps_none == count.steps or uid in left):
                answer.append(uid)
        elif run.backwards and parameter.trainable:
            answer.append(uid)
    return answer


def copied_into(run: Run) -> frozenset[int]:
    """Parameters of which it is told here that they are trained in place of what was copied into them."""
    cuts = best_cuts(run)
    likeliest = (cuts[uid][0] for uid in missing(run) if uid in cuts)
    return frozenset().union(*(cut.into for cut in likeliest if cut.cause == "copied"))


def _zeros_that_stay(run: Run) -> set[int]:
    """Zeros that somebody left instead of a gradient; where the value moves all the same, GS510 tells of it."""
    left = zeros_left(run)
    return left.difference(moving(run)) if left else left


def check(run: Run) -> Iterable[Finding]:
    """One finding per cut and model."""
    cuts = best_cuts(run)
    swallowed = {u: o for o in run.origins if o.kind == "none" for u in o.parameters}
    groups: dict[Cut | None, list[int]] = {}
    kept: dict[Origin, list[int]] = {}
    for uid in missing(run):
        if uid not in cuts and (uid in run.never_used or (uid not in swallowed and is_shift(run, uid))):
            continue  # a bias that only shifts an energy of which the slope is used has none to get
        if uid in swallowed:
            kept.setdefault(swallowed[uid], []).append(uid)
            continue
        groups.setdefault(cuts[uid][0] if uid in cuts else None, []).append(uid)
    for origin, uids in kept.items():
        for model, mine in by_model(run, uids):
            severity = Severity.INFO if is_design(run, model, mine, origin) else Severity.ERROR
            yield finding(
                CODE,
                severity,
                run,
                model,
                mine,
                state="none",
                cause=origin.cause,
                says="gets no gradient although it is connected",
                path=origin.path,
                evidence=Evidence.TRACED,
            )
    failed = failed_at_once(run) and any(cut is not None and cut.cause != "copied" for cut in groups)
    for cut, uids in groups.items():
        if failed and (cut is None or cut.cause == "copied"):
            continue  # of what comes after the pass that failed, or is made of its results, nothing was seen
        for model, mine in by_model(run, uids):
            yield _one(run, cut, model, mine, cuts)


def _one(run: Run, cut: Cut | None, model: str, uids: tuple[int, ...], cuts: dict[int, list[Cut]]) -> Finding:
    whole = covers_model(run, model, uids)
    severity = Severity.ERROR if whole or (cut is not None and cut.cause != "unused_output") else Severity.WARNING
    if cut is not None and cut.cause != "unused_output" and is_design(run, model, uids, cut):
        severity = Severity.INFO
    says = "gets no gradient"
    passed = next((e for e in run.backward_events if e.connected and e.connected.issuperset(uids)), None)
    if cut is None and passed is not None:
        return finding(
            CODE, severity, run, model, uids, state="none", cause="unknown", says=says, words=_LEFT_OUT,
            path=passed.path, evidence=Evidence.TRACED,
        )  # fmt: skip
    if cut is None:
        evidence, words = (Evidence.INFERRED, _THREAD) if run.unseen.issuperset(uids) else (Evidence.OBSERVED, None)
        fix = how_to_learn_the_line(run) if words is None else ""
        return finding(
            CODE, severity, run, model, uids, state="none", cause="unknown", says=says, evidence=evidence, words=words,
            fix=fix,
        )  # fmt: skip
    path = cut.path
    called = f"it is called there at {path[-1]}" if cut.op == ELSEWHERE and cut.cause == "unknown" else ""
    path = () if called else path
    others = (c for c in cuts[uids[0]][1:4] if c.path and (cut.once or not c.once))
    also = tuple(c.path[-1] for c in others if c.path[-1] != (path[-1] if path else None))
    words = _words(cut, uids) or _in_its_place(run, cut, uids, subject(run, model, uids).words)
    if cut.detail:
        also, words = _instance(run, cut.detail, subject(run, model, uids).words)
    if cut.cause == "requires_grad_false":
        frozen = max((run.parameters[u].frozen_at for u in uids), key=len)
        if frozen:
            also = (path[-1], *also) if path else also
            path = frozen
    return finding(
        CODE,
        severity,
        run,
        model,
        uids,
        state="none",
        cause=cut.cause,
        says=says,
        path=path,
        evidence=Evidence(cut.evidence) if cut.evidence in set(Evidence) else Evidence.INFERRED,
        also=also,
        fix=_fix(cut, words or CAUSES.get(cut.cause, CAUSES["unknown"])),
        detail=called or ("" if cut.op in (SAVE, LOAD) else ran_in(cut)),
        words=words,
    )


def _instance(run: Run, called: str, meant: str) -> tuple[Path, Cause]:
    """Where the instance that is called was copied, and what to say of it."""
    copied = [p.copied_at[-1] for p in run.parameters.values() if p.copied_at and is_part(p, called)]
    return tuple(copied[:1]), Cause(f"another instance, {called}, is called", f"call {meant} instead of {called}")


def _in_its_place(run: Run, cut: Cut, uids: Collection[int], meant: str) -> Cause | None:
    """What to say where the values of a model itself were copied into another one: into which, the last of them."""
    reached = [u for u in cut.into if tally(run, u).backwards and run.parameters[u].owners]
    copies = sorted(by_model(run, reached), key=lambda copy: max(copy[1]))
    called = [subject(run, model, mine) for model, mine in copies]
    if cut.cause != "copied" or not called or called[-1].several or not cut.direct.issuperset(uids):
        return None
    name, alone = called[-1].words, len(called) == 1
    into = f"{name}, which gets" if alone else f"others (such as {name}), which get"
    whose = f"the gradients of {name}" if alone else "their gradients"
    anew = any(run.parameters[u].late for u in copies[-1][1])
    other = f"hand {whose} over to it before each step" if anew else f"build the optimizer from the copy, {name}"
    return Cause(
        f"only its values are copied into {into} the gradients in its place,",
        f"compute with {meant} itself (torch.func.functional_call, where its values are to be others), or {other}",
    )


def _words(cut: Cut, uids: tuple[int, ...]) -> Cause | None:
    """Where the operation says more than the cause."""
    if cut.op in (SAVE, LOAD):
        return None if cut.direct else _SAVED  # of a module that was read as a whole, the parameters
    if cut.op == ELSEWHERE:
        return _THREAD_OFF if cut.cause != "unknown" else _THREAD
    if cut.op in (EVALUATED, LATE):
        return _EVALUATED if cut.op == EVALUATED else _LATE
    if cut.op == DERIVATIVE and cut.cause == "detach":
        return _FIRST_ORDER
    if cut.cause == "detach" and cut.library.startswith(_STATE_DICT):
        return _LISTED
    return _WRAPPED if cut.op == WRAPPED and cut.cause == "new_tensor" else off_words(cut, uids)


def _fix(cut: Cut, words: Cause) -> str:
    """Where the repair is more than that of the cause; empty if it is not."""
    if "torch/distributions/" in cut.library and cut.cause == "no_grad":
        return _SAMPLED
    if cut.op == "copy_" and cut.cause in _BLOCKED:
        return _COPIED_OVER
    if cut.how in _DETACHED:
        return _DETACHED[cut.how]
    return f"{words.fix}; {_ANEW}" if cut.once and cut.cause in _BLOCKED else ""


_COPIED_OVER = (
    "hand on the result itself; where a module has to compute with it:"
    " torch.func.functional_call(module, {name: result}, inputs)"
)


def failed_at_once(run: Run) -> bool:
    """Whether no pass brought anything and no optimizer stepped: backward() failed, and the script with it."""
    return not run.step_events and not any(t.backwards for t in run.tallies.values())


RULE = Rule(*CODE, check, __doc__ or "")
