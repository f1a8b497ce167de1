"""What looks wrong enough to trace a step for it, and that each thing is asked once."""

from __future__ import annotations

import math

import pytest

from gradscope.capture.events import Log, StepKind
from gradscope.capture.suspicions import HUGE, MOST, TINY, ZEROS, Suspicions
from gradscope.records.columns import Cohort, Column


def delivered(suspicions, log, norms, index=0):
    column = Column(Cohort(norms), list(norms.values()))
    log.delivered(index, column)
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
