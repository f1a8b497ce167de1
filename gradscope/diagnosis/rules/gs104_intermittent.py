"""GS104 intermittent: a parameter gets a gradient at some steps of its optimizer, and none at others.

That is how experts, dropped layers, alternating losses and stages are trained, so it is told as info. It is also how
a condition looks that skips or cuts more than was meant: where the gradient came at first and never again, the finding
says so, and the report does not count the model among those in which gradients flow. Where that holds of all that the
optimizers hold, or `backward()` was at last called on a loss without a graph, it is an error. Where it came at a single
step, whose result is kept and used again, detached, in all later ones, it is a warning; so it is where a function that
has returned left gradients switched off.

Look at:
    features = encoder(x)
    if step > 0:
        features = features.detach()
"""

from __future__ import annotations

from collections.abc import Iterable

from gradscope.diagnosis.causes import CAUSES, Cause
from gradscope.diagnosis.finding import Evidence, Finding, Rule, Severity
from gradscope.diagnosis.idle import LAST, all_over, graphless, kept_frozen, stopped
from gradscope.diagnosis.rules.common import by_model, finding, is_idle, ran_in, tally
from gradscope.diagnosis.rules.gs507_lost_before_step import cleared_at
from gradscope.diagnosis.rules.gs510_moves_without_gradient import moving
from gradscope.diagnosis.rules.off import off_words
from gradscope.records import KEPT, LEFT_OFF, Cut, Path, Run
from gradscope.records.former import left_behind

CODE = ("GS104", "intermittent")
TIMES = 2
"""Steps without a gradient; a single one, before the first backward pass, is none of training."""
_KEPT = Cause(
    "its optimizer steps no more, and requires_grad is set to False again and again",
    "if it is not meant, set requires_grad_(True) before its own turn",
)
_ONCE = Cause(
    "what it computed at an earlier step is kept without its history and used again in every later one",
    "compute it anew in each step",
)
_CLEARED = Cause(
    "they are cleared before its optimizer steps",
    "if it is not meant, leave .grad alone between backward() and step()",
)
_SAYS = {True: "gets no gradient any more", False: "gets a gradient at some steps only"}
_NOT_APPLIED = {
    True: "gets gradients that are not applied any more",
    False: "gets gradients that are not applied at some steps",
}
_FIX = "if it is not meant, look for a condition that skips its loss or detaches its output"


def check(run: Run) -> Iterable[Finding]:
    """Per model one finding for what comes and goes, and one for what has stopped."""
    silent = stopped(run)
    replaced = {p.replaces for p in run.parameters.values() if p.replaces is not None}  # GS501 tells of these
    told = replaced | left_behind(run) | (moving(run).keys() - silent.keys())
    yield from _frozen(run, [u for u in kept_frozen(run) if u not in told])
    groups: dict[bool, list[int]] = {True: [], False: []}
    cleared: dict[tuple[str, Path], list[int]] = {}
    for uid, parameter in run.parameters.items():
        if parameter.owners and parameter.trainable and uid not in told and not is_idle(run, parameter):
            count = tally(run, uid)
            frozen = count.steps - count.trainable_steps
            over = uid in silent and bool(count.trainable_steps)
            if not over and not (count.steps_none - frozen >= TIMES and count.steps_none < count.steps):
                continue
            if uid in cleared_at(run) and (not over or _still_comes(run, uid)):
                cleared.setdefault((_NOT_APPLIED[over], cleared_at(run)[uid]), []).append(uid)
            else:
                groups[over].append(uid)
    yield from _cleared(run, cleared)
    lost = {u: cut for cut in run.cuts for u in cut.parameters}
    for over in (True, False):
        yield from _off(run, {u: lost[u] for u in groups[over] if u in lost}, silent, over=over)
        groups[over] = [u for u in groups[over] if u not in lost]
    for over, found in groups.items():
        for model, uids in by_model(run, found):
            yield finding(
                CODE,
                Severity.ERROR if over and all_over(run) else Severity.INFO,
                run,
                model,
                uids,
                state="none" if over else "intermittent",
                cause="unknown",
                says=_SAYS[over],
                words=Cause(_times(run, uids, silent, over=over), _FIX),
            )


def _still_comes(run: Run, uid: int) -> bool:
    """Whether a gradient came with the last passes, too."""
    last = tally(run, uid).last_backward
    return last is not None and run.backwards - 1 - last < LAST


def _cleared(run: Run, groups: dict[tuple[str, Path], list[int]]) -> Iterable[Finding]:
    """Per line that clears what has just come, and per model, one finding."""
    for (says, path), uids in groups.items():
        for model, mine in by_model(run, uids):
            yield finding(
                CODE,
                Severity.INFO,
                run,
                model,
                mine,
                state="none" if says == _NOT_APPLIED[True] else "intermittent",
                cause="zeroed_before_step",
                says=says,
                path=path,
                words=_CLEARED,
            )


def _off(run: Run, lost: dict[int, Cut], silent: dict[int, int], *, over: bool) -> Iterable[Finding]:
    """Per line that turned gradients off, or cuts since then or now and then, and model, one finding."""
    for cut in dict.fromkeys(lost.values()):
        words = _ONCE if cut.how == KEPT else off_words(cut) or CAUSES.get(cut.cause, CAUSES["unknown"])
        for model, mine in by_model(run, [u for u in lost if lost[u] == cut]):
            severity = Severity.ERROR if over and all_over(run) else Severity.INFO
            kept = cut.how == KEPT and all(_got_one(run, u) for u in mine)
            if severity is Severity.INFO and (kept or (over and cut.how == LEFT_OFF)):
                severity = Severity.WARNING
            yield finding(
                CODE,
                severity,
                run,
                model,
                mine,
                state="none" if over else "intermittent",
                cause=cut.cause,
                says=_SAYS[over],
                path=cut.path,
                evidence=Evidence(cut.evidence) if cut.evidence in set(Evidence) else Evidence.INFERRED,
                detail="; ".join(filter(None, (_times(run, mine, silent, over=over), ran_in(cut)))),
                words=words,
                fix="" if severity is not Severity.INFO else f"if it is not meant, {words.fix}",
            )


def _got_one(run: Run, uid: int) -> bool:
    """Whether a gradient came at a single step of its optimizers, and at LAST or more none."""
    count = tally(run, uid)
    return count.steps - count.steps_none == 1 and count.none_streak >= LAST


def _frozen(run: Run, uids: list[int]) -> Iterable[Finding]:
    """Per line that keeps freezing what an optimizer had begun to train, and per model, one finding."""
    groups: dict[Path, list[int]] = {}
    for uid in uids:
        if run.parameters[uid].owners and not is_idle(run, run.parameters[uid]):
            groups.setdefault(run.parameters[uid].frozen_at, []).append(uid)
    for path, group in groups.items():
        for model, mine in by_model(run, group):
            yield finding(
                CODE,
                Severity.INFO,
                run,
                model,
                mine,
                state="none",
                cause="requires_grad_false",
                says="gets no gradient any more",
                path=path,
                also=path[-2:-1],
                words=_KEPT,
            )


def _times(run: Run, uids: tuple[int, ...], silent: dict[int, int], *, over: bool) -> str:
    return _stopped(run, uids, silent) if over else _often(run, uids)


def _stopped(run: Run, uids: tuple[int, ...], silent: dict[int, int]) -> str:
    if graphless(run).issuperset(uids):
        return "the last backward() was called on a loss that has no graph"
    since = max(silent[uid] for uid in uids)
    steps = max(tally(run, uid).steps for uid in uids)
    return f"there was none at the last {since} of the {steps} steps of its optimizer"


def _often(run: Run, uids: tuple[int, ...]) -> str:
    counts = [tally(run, uid) for uid in uids]
    had = sorted({count.steps - count.steps_none for count in counts})
    times = str(had[0]) if len(had) == 1 else f"{had[0]} to {had[-1]}"
    return f"there was one at {times} of the {max(count.steps for count in counts)} steps of its optimizer"


RULE = Rule(*CODE, check, __doc__ or "")
