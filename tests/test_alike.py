"""Rules follow classes of parameters to which the same happened; they have to say what following each would say."""

from __future__ import annotations

import gc
import random
import weakref

import pytest

from gradscope.diagnosis.alike import Alike, alike
from gradscope.diagnosis.rules import (
    gs502_in_two_optimizers,
    gs506_stale_gradient,
    gs507_lost_before_step,
    gs509_double_backward,
)
from gradscope.records import (
    Backward,
    Clear,
    Event,
    Group,
    Location,
    Model,
    Optimizer,
    OptimizerStep,
    Run,
    Tally,
    Write,
)
from gradscope.records.columns import Cohort, Column, receivers, unmeasured, zeros
from gradscope.records.once import once

from .builders import make_parameter

RULES = (gs502_in_two_optimizers, gs506_stale_gradient, gs507_lost_before_step, gs509_double_backward)
MODELS = {"encoder": range(4), "decoder": range(4, 7), "critic": range(7, 12)}


def line(number: int) -> tuple[Location, ...]:
    return (Location("train.py", number, "main", f"line {number}"),)


def random_run(seed: int) -> Run:
    """Two optimizers, of which parts may be shared, over models that receive, lose and apply gradients at random."""
    rng = random.Random(seed)
    uids = [uid for members in MODELS.values() for uid in members]
    blocks = ((0, 1, 4), (2, 3), (5, 6, 7, 8), (9, 10), (11,))

    telling = rng.choice(("received", "added", "zero", "held", "cleared", "written"))
    often_zero = rng.choice((0.2, 0.95))

    def some(share: float, what: str) -> frozenset[int]:
        """Some of them, if this is what tells them apart in this run; else all or none of them."""
        if what != telling:
            return frozenset(uids if rng.random() < share else ())
        return frozenset(uid for block in blocks if rng.random() < share for uid in block)

    groups = [tuple(sorted(some(0.9, "held"))), tuple(sorted(some(0.7, "held")))]
    events: list[Event] = []
    held: frozenset[int] = frozenset()
    for clock in range(60):
        kind = rng.choice(("backward", "backward", "step", "step", "clear", "write"))
        if kind == "backward":
            got, zero = some(0.8, "received"), some(often_zero, "zero")
            norms = {uid: 0.5 * (uid not in zero) for uid in sorted(got)}
            root, again = rng.randrange(3), frozenset({rng.randrange(3)} if rng.random() < 0.2 else ())
            path, added = line(rng.randrange(3)), some(0.6, "added") & got & held
            events.append(Backward(clock, clock, clock, path, norms, added, root=root, again=again))
            held |= got
        elif kind == "step":
            optimizer, zero = rng.randrange(2), some(often_zero, "zero")
            norms = {uid: 0.5 * (uid not in zero) for uid in groups[optimizer] if uid in held}
            events.append(OptimizerStep(clock, clock, clock, optimizer, line(10 + optimizer), norms))
        elif kind == "clear":
            gone, path = some(0.6, "cleared"), line(20) if rng.random() < 0.5 else ()
            events.append(Clear(clock, clock, gone, path, by=rng.choice(("", "module"))))
            held -= gone
        else:
            events.append(Write(clock, clock, some(0.3, "written"), line(30), "grad", "assigned"))
    owners = [(uid, name) for name, members in MODELS.items() for uid in members]
    return Run(
        steps=60, backwards=60, traced=60,
        models=tuple(Model(name, name.title(), tuple(members)) for name, members in MODELS.items()),
        parameters={uid: make_parameter(uid, name, f"{uid}.weight") for uid, name in owners},
        optimizers=tuple(Optimizer(i, f"o{i}", "SGD", (Group(g, 0.1),), line(40 + i)) for i, g in enumerate(groups)),
        events=tuple(events),
        tallies=dict.fromkeys(uids, Tally(backwards=20, measured=20, steps=20, trainable_steps=20)),
    )  # fmt: skip


def each_by_itself(run: Run) -> Alike:
    uids = {uid: (uid,) for uid in run.parameters}
    return Alike(run.events, uids, {o.uid: frozenset(o.parameters) for o in run.optimizers})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE[0])
def test_classes_tell_what_each_parameter_would(rule, monkeypatch):
    told = 0
    for seed in range(120):
        run = random_run(seed)
        by_class = list(rule.RULE.check(run))
        with monkeypatch.context() as patch:
            patch.setattr(rule, "alike", each_by_itself)
            assert list(rule.RULE.check(random_run(seed))) == by_class
        told += bool(by_class)
    assert told > 5, "the runs should give the rule something to say"


def test_what_always_happens_together_is_one_class():
    cohort = Cohort(range(1000))
    norms = Column(cohort, [1.0] * 1000)
    events = tuple(Backward(i, i, i, line(1), norms) for i in range(10))
    parameters = {uid: make_parameter(uid, "net", f"{uid}.weight") for uid in range(1000)}
    found = alike(Run(parameters=parameters, events=events))
    assert found.classes == {0: tuple(range(1000))}
    assert [dict(event.norms) for event in found.events] == [{0: 1.0}] * 10
    assert found.all({0: "said"}) == dict.fromkeys(range(1000), "said")


def test_a_zero_and_an_optimizer_make_a_class_of_their_own():
    norms = {0: 1.0, 1: 0.0, 2: None, 3: 1.0, 4: 0.0}
    run = Run(events=(Backward(0, 0, 0, (), norms),), optimizers=(Optimizer(0, "o", "SGD", (Group((3,), 0.1),)),))
    assert alike(run).classes == {0: (0,), 1: (1, 4), 2: (2,), 3: (3,)}
    assert alike(run).held == {0: frozenset({3})}


def test_an_answer_is_kept_for_one_run_and_keeps_no_run():
    asked = []

    @once
    def work(run: Run) -> int:
        asked.append(run.steps)
        return run.steps

    one, two = Run(steps=1), Run(steps=2)
    assert [work(one), work(one), work(two), work(one)] == [1, 1, 2, 1]
    assert asked == [1, 2, 1]
    alive = weakref.ref(one)
    asked.clear()
    del one
    gc.collect()
    assert alive() is None


def test_columns_name_who_received_what():
    column = Column(Cohort([3, 1, 2]), [0.5, None, 0.0])
    assert receivers(column) == receivers({3: 0.5, 1: None, 2: 0.0}) == {1, 2, 3}
    assert zeros(column) == zeros({3: 0.5, 1: None, 2: 0.0}) == {2}
    assert unmeasured(column) == unmeasured({3: 0.5, 1: None, 2: 0.0}) == {1}
    assert zeros(Column(Cohort([3, 1]))) == zeros(Column(Cohort([3, 1]), [1.0, float("nan")])) == set()
    assert unmeasured(Column(Cohort([3, 1]))) == {1, 3}
    assert list(column.missing) == [1]
    assert list(Column(Cohort([3, 1])).missing) == [3, 1]
    assert [column.cohort.uids[place] for place in column.cohort.ascending] == [1, 2, 3]
