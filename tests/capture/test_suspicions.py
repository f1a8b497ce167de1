"""What looks wrong enough to trace a step for it, and that each thing is asked once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.events import Log, StepKind
from gradscope.capture.suspicions import AGAIN, HUGE, MOST, TINY, VISIBLE, ZEROS, Suspicions
from gradscope.records.columns import Cohort, Column


def delivered(suspicions, log, norms, index=0):
    column = Column(Cohort(norms), list(norms.values()))
    log.delivered(index, index, column)
    suspicions.arrived(log, column)


def stepped(suspicions, log, held, present, trainable):
    kind = StepKind(tuple(held), frozenset(present), frozenset(trainable))
    log.stepped(0, kind, Column(Cohort(present), [1.0] * len(present)))
    suspicions.stepped(log, kind)


def test_zeros_count_when_they_come_in_a_row():
    suspicions, log = Suspicions(), Log()
    for index in range(ZEROS - 1):
        delivered(suspicions, log, {1: 0.0, 2: 0.5}, index)
    assert not suspicions.take()

    delivered(suspicions, log, {1: 0.5, 2: 0.5}, ZEROS)
    for index in range(ZEROS - 1):
        delivered(suspicions, log, {1: 0.0, 2: 0.5}, ZEROS + 1 + index)
    assert not suspicions.take()

    delivered(suspicions, log, {1: 0.0, 2: 0.5}, 2 * ZEROS + 1)
    assert suspicions.take()
    assert suspicions.taken == {1}


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_what_is_not_finite_counts_at_once(norm):
    suspicions, log = Suspicions(), Log()
    delivered(suspicions, log, {1: 0.5, 2: norm, 3: None})

    assert suspicions.take()
    assert suspicions.taken == {2}


def test_what_is_well_or_was_not_measured_is_no_suspicion():
    suspicions, log = Suspicions(), Log()
    for index in range(2 * ZEROS):
        delivered(suspicions, log, {1: 0.5, 2: None}, index)
    stepped(suspicions, log, held=(1, 2), present=(1, 2), trainable=(1, 2))

    assert not suspicions.take()


def test_held_and_trainable_without_a_gradient():
    suspicions, log = Suspicions(), Log()
    stepped(suspicions, log, held=(1, 2), present=(1,), trainable=(1, 2))

    assert suspicions.take()
    assert suspicions.taken == {2}


def test_a_gradient_that_came_before_is_not_missing():
    suspicions, log = Suspicions(), Log()
    stepped(suspicions, log, held=(1, 2), present=(1, 2), trainable=(1, 2))
    stepped(suspicions, log, held=(1, 2), present=(1,), trainable=(1, 2))

    assert not suspicions.take()


def test_held_and_frozen():
    suspicions, log = Suspicions(), Log()
    stepped(suspicions, log, held=(1, 2, 3), present=(1, 3), trainable=(1,))

    assert suspicions.take()
    assert suspicions.taken == {2}


@pytest.mark.parametrize(
    ("rms", "wrong"),
    [(0.0, False), (TINY / 2, True), (TINY, False), (1.0, False), (HUGE, False), (2 * HUGE, True), (math.inf, False)],
)
@pytest.mark.parametrize("numel", [1, 10_000])
def test_gradients_beyond_the_usual_size(rms, wrong, numel):
    suspicions = Suspicions()
    suspicions.applied(1, rms * math.sqrt(numel), numel, delivered=1)

    assert suspicions.take() == wrong


def test_each_thing_is_asked_once():
    suspicions, log = Suspicions(), Log()
    delivered(suspicions, log, {1: math.nan})
    assert suspicions.take()
    delivered(suspicions, log, {1: math.nan})
    assert not suspicions.take()

    delivered(suspicions, log, {2: math.nan})
    suspicions.dismiss()
    assert not suspicions.take()
    delivered(suspicions, log, {2: math.nan})
    assert not suspicions.take()

    suspicions.applied(1, 2 * HUGE, 1, delivered=1)  # the same parameter, but something else
    assert suspicions.take()


def test_no_run_is_traced_for_ever():
    suspicions, log = Suspicions(), Log()
    taken = 0
    for uid in range(2 * MOST):
        delivered(suspicions, log, {uid: math.nan})
        taken += suspicions.take()

    assert taken == MOST


@pytest.mark.parametrize(("delivered", "wrong"), [(0, True), (3, False)])
def test_zeros_that_no_pass_brought_are_looked_into(delivered, wrong):
    suspicions = Suspicions()
    suspicions.applied(1, 0.0, 4, delivered=delivered)
    assert suspicions.take() is wrong


def taken(suspicions, ask):
    """How often it is asked for, for ten times that it is seen."""
    count = 0
    for _ in range(10):
        ask()
        count += suspicions.take()
    return count


@pytest.mark.parametrize(
    ("second", "added", "wrong"),
    [
        ({1: 2.0, 2: 0.5}, {1, 2}, True),
        ({1: 2.0, 2: 0.5}, (), False),
        ({1: 2.0, 2: 0.6}, {1, 2}, False),
        ({1: 2.0, 2: None}, {1, 2}, False),
    ],
)
def test_a_pass_that_doubles_everything(second, added, wrong):
    suspicions, log = Suspicions(), Log()
    cohort = Cohort(second)

    def both():
        suspicions.arrived(log, Column(cohort, [1.0, 0.25]))
        suspicions.arrived(log, Column(cohort, list(second.values())), frozenset(added))

    assert taken(suspicions, both) == (AGAIN["double"] if wrong else 0)


@pytest.mark.parametrize("ratio", [VISIBLE, VISIBLE / 2])
@pytest.mark.parametrize("drift", [0.0, 1e-6])
def test_a_weight_that_moved_and_is_as_it_was(ratio, drift):
    suspicions, weight = Suspicions(), [1.0]

    def step():
        suspicions.weighed(1, weight[0], ratio)
        weight[0] += drift

    assert taken(suspicions, step) == (AGAIN["undone"] if not drift and ratio >= VISIBLE else 0)


# --- in a loop whose steps are marked: the rules that want to see more than one traced step


class Loop:
    def __init__(self):
        torch.manual_seed(0)
        self.net = nn.Linear(4, 4)
        self.first = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1)
        self.batch = torch.randn(8, 4)

    def loss(self):
        return self.net(self.batch).square().mean()

    def run(self, turn, steps=12):
        with gradscope.watch(net=self.net) as scope:
            for _ in scope.steps(range(steps)):
                self.optimizer.zero_grad()
                turn()
        return scope.report()

    def put_back(self):
        self.loss().backward()
        self.optimizer.step()
        self.net.load_state_dict(self.first)

    def project(self):
        self.loss().backward()
        self.optimizer.step()
        with torch.no_grad():
            for parameter in self.net.parameters():
                parameter.div_(parameter.norm())

    def twice(self):
        loss = self.loss()
        loss.backward(retain_graph=True)
        loss.backward()
        self.optimizer.step()

    def accumulate(self):
        self.loss().backward()
        self.loss().backward()
        self.optimizer.step()


@pytest.mark.parametrize(
    ("turn", "code"),
    [("put_back", "GS508"), ("project", None), ("twice", "GS509"), ("accumulate", None)],
)
def test_marked_steps_are_traced_until_the_rule_is_sure(turn, code):
    loop = Loop()
    report = loop.run(getattr(loop, turn))

    assert [finding.code for finding in report.findings] == ([code] if code else [])
    if code:
        assert report.findings[0].location.function == turn
