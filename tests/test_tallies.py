"""Counting: what capture counts as it happens and what is recounted from the facts are the same."""

from __future__ import annotations

import pytest

from gradscope.capture.events import Log
from gradscope.records import Backward, Tally
from gradscope.records.columns import Cohort, Column
from gradscope.tallies import Count, Recount

from .builders import make_parameter

RUNS = {
    "healthy": [(1.0, 2.0)] * 4,
    "zero": [(0.0, 2.0), (0.0, 2.0), (0.0, 1.0)],
    "so small that it is zero": [(1e-20, 2.0)] * 4,
    "not a number from the third on": [(1.0, 2.0), (1.0, 2.0), (float("nan"), 2.0), (float("nan"), float("inf"))],
    "not measured": [(None, None), (1.0, 1.0), (None, None)],
    "never measured": [(None, None)] * 5,
    "one of them not measured": [(None, 1.0)] * 4,
    "every third measured, one zero": [(0.0, 1.0), (None, None), (None, None), (0.0, 3.0), (None, None), (None, None)],
    "zero, then NaN, then zero": [(0.0, 1.0), (float("nan"), 1.0), (0.0, 1.0)],
}


@pytest.mark.parametrize("norms", RUNS.values(), ids=RUNS)
def test_live_and_recounted(norms):
    cohort = Cohort((0, 1))
    events = [Backward(i, 10 + i, i, (), Column(cohort, row)) for i, row in enumerate(norms)]
    log = Log()
    for event in events:
        log.delivered(event.index, event.step, event.norms)
    recount = Recount({}, {uid: make_parameter(uid, "net", f"{uid}.weight") for uid in (0, 1)}, ())
    recount.add(events)

    assert repr(recount.tallies()) == repr(log.tallies())  # NaN is not equal to itself


def test_the_step_of_the_first_nan_is_kept():
    log = Log()
    for index, norm in enumerate([1.0, float("nan"), float("nan")]):
        log.delivered(index, 100 + index, Column(Cohort((0,)), [norm]))
    tally = log.tallies()[0]
    assert (tally.first_nonfinite, tally.first_nonfinite_step) == (1, 101)


def test_a_count_has_what_a_tally_has():
    assert Count().freeze() == Tally()
    assert Count.since(Tally(backwards=3, norm_last=0.5)).freeze() == Tally(backwards=3, norm_last=0.5)


MIXED = {
    "healthy": [(0, (1.0, 2.0)), (1, (3.0, 4.0)), (0, (5.0, 6.0)), (1, (7.0, 8.0))] * 3,
    "the last ones not measured": [(1, (1.0, 2.0)), (0, (3.0, 4.0)), (1, (None, None)), (0, (None, None))],
    "zeros between": [(0, (0.0, 2.0)), (1, (1.0, 0.0)), (0, (0.0, 2.0)), (0, (0.0, 1.0)), (1, (0.0, 0.0))],
    "not a number between": [(0, (1.0, 2.0)), (1, (float("nan"), 4.0)), (0, (5.0, 6.0)), (1, (7.0, 8.0))] * 2,
}


@pytest.mark.parametrize("passes", MIXED.values(), ids=MIXED)
def test_passes_of_two_kinds_in_turn_are_counted_as_one_by_one(passes):
    """As of a GAN: both reach parameter 1."""
    cohorts = Cohort((0, 1)), Cohort((1, 2))
    log, counts = Log(), {uid: Count() for uid in (0, 1, 2)}
    for index, (kind, norms) in enumerate(passes):
        column = Column(cohorts[kind], norms)
        log.delivered(index, index, column)
        for uid, norm in column.items():
            counts[uid].delivered(index, index, norm)
    assert log.tallies() == {uid: count.freeze() for uid, count in counts.items()}
