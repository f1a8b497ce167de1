"""The account of our own time, with time made up."""

from __future__ import annotations

from time import perf_counter

import pytest

from gradscope.capture import budget as module
from gradscope.capture.budget import Budget


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = 100.0


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "perf_counter", lambda: made.now)
    return made


def turns(budget: Budget, clock: Clock, fixed: float, norms: float, count: int = 400) -> None:
    """Turns of one second, in which watching takes `fixed` and, when they are measured, `norms`."""
    for number in range(count):
        started = clock.now
        clock.now += fixed + (norms if budget.due(number) else 0.0)
        budget.spent(started)
        clock.now = started + 1.0
        budget.turn()


def test_half_a_second_is_free(clock):
    budget = Budget(0.01)
    turns(budget, clock, 0.0, 0.05, count=8)
    assert budget.thinning == 1
    assert not budget.note()


def test_norms_are_thinned_until_they_fit(clock):
    budget = Budget(0.01)
    turns(budget, clock, 0.001, 0.05)
    assert budget.thinning == 7
    assert "every 7th pass" in budget.note()


def test_they_come_back_when_there_is_room(clock):
    budget = Budget(0.01)
    turns(budget, clock, 0.001, 0.05)
    turns(budget, clock, 0.0, 0.001)
    assert budget.thinning == 1


def test_what_cannot_be_thinned_does_not_end_it(clock):
    budget = Budget(0.01)
    turns(budget, clock, 0.05, 0.05)
    assert budget.thinning == 251


def test_without_a_share_nothing_is_thinned(clock):
    budget = Budget()
    turns(budget, clock, 0.5, 0.5)
    assert budget.thinning == 1
    assert budget.rested


def test_updates_have_half_of_the_share(clock):
    budget = Budget(0.01)
    budget.total = 1.0
    started = clock.now
    clock.now += 0.1
    budget.sampled(started)
    assert not budget.rested
    clock.now += 20.0
    assert budget.rested
    budget.spent(clock.now - 0.1)
    assert budget._own == pytest.approx(0.0)


def test_the_share_of_the_run_is_told_and_not_only_the_aim():
    budget = Budget(0.01)
    budget.thinning = 7
    budget._begun = perf_counter() - 10.0
    budget.total = 2.0
    assert "gradscope took 2.00 s, 20.0% of the run: with 1.0% as the aim" in budget.note()
