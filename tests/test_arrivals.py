"""Which parameters were reached when: exact however long the run is, in memory that does not grow with it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from gradscope.capture.memory import bytes_of
from gradscope.records import Arrivals, Backward, Location
from gradscope.records.columns import Cohort, Column
from gradscope.tallies import Recount
from gradscope.tallies.arrivals import MOST, Spread, is_sound
from gradscope.tallies.lines import Lines

EVERYONE, HALF = Cohort(range(6)), Cohort(range(3))
LINE, OTHER = (Location("train.py", n, "main", "loss.backward()") for n in (10, 20))


def stops(number: int, total: int) -> Cohort:
    return EVERYONE if number < total // 2 else HALF


def alternates(number: int, _: int) -> Cohort:
    return EVERYONE if number % 2 else HALF


def wanders(number: int, _: int) -> Cohort:
    chance = random.Random(number)
    return Cohort(sorted(chance.sample(range(8), chance.randint(0, 8))))


@pytest.mark.parametrize("total", [1, 5, MOST - 1, MOST, MOST + 1, 3000])
@pytest.mark.parametrize("loop", [stops, alternates, wanders])
def test_counts_are_those_of_all_passes(loop, total):
    passes = [loop(number, total) for number in range(total)]
    spread = Spread()
    for number, cohort in enumerate(passes):
        spread.add(cohort, measured=number % 3 == 0)
        if number == total // 3:
            spread = Spread(spread.freeze())  # as when a file is read and counted on
    found = spread.freeze()
    stretches = range(0, total, found.width)
    expected = {
        uid: tuple(sum(uid in cohort.places for cohort in passes[at : at + found.width]) for at in stretches)
        for uid in range(8)
    }

    assert is_sound(found)
    assert (found.passes, found.measured) == (total, -(-total // 3))
    assert {uid: found.counts[row] for uid, row in found.rows.items()} == {u: n for u, n in expected.items() if any(n)}


def test_parameters_that_always_come_together_share_a_row():
    spread = Spread()
    for number in range(3000):
        spread.add(stops(number, 3000), measured=True)

    assert len(spread.freeze().counts) == 2


def test_memory_is_bounded():
    spread, sizes = Spread(), []
    for number in range(60_000):
        spread.add(wanders(number % 200, 0), measured=True)
        if number in (20_000, 59_999):
            sizes.append(bytes_of(spread))

    assert sizes[1] < 2.1 * sizes[0]  # there are from 256 to 512 stretches
    assert len(spread.freeze().counts[0]) <= MOST


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0},
        {"passes": -1},
        {"passes": 2**60},
        {"measured": 2**60},
        {"rows": {0: 7}},
        {"counts": ((1, 2), (3,))},
        {"counts": ((1, -2),) * 2},
        {"counts": ((1, 2**60),) * 2},
    ],
)
def test_what_cannot_have_been_counted_is_seen(wrong):
    spread = Spread()
    for number in range(2):
        spread.add(stops(number, 2), measured=True)
    sound = spread.freeze()

    assert is_sound(sound)
    assert is_sound(Arrivals())
    assert not is_sound(replace(sound, **wrong))


def passes(total: int) -> list[Backward]:
    """A line that reaches all until half way, and another, now and then, that always does."""
    answer = []
    for number in range(total):
        line, cohort = (OTHER, EVERYONE) if number % 10 == 9 else (LINE, stops(number, total))
        answer.append(Backward(number, number, number, (line,), Column(cohort)))
    return answer


def test_a_line_knows_which_of_its_passes_was_the_last_to_reach_a_parameter():
    lines = Lines()
    for event in passes(200):
        lines.add(event)
    first, other = lines.freeze()

    assert (first.count, other.count) == (180, 20)
    assert first.reached == other.reached == EVERYONE.everyone
    assert first.last == dict.fromkeys((3, 4, 5), 89)
    assert other.last == {}


def test_many_cohorts_of_a_line_are_written_down():
    lines, last = Lines(), {}
    for number in range(300):
        cohort = wanders(number, 0)
        lines.add(Backward(number, number, number, (LINE,), Column(cohort)))
        last.update(dict.fromkeys(cohort.uids, number))

    assert lines.freeze()[0].last == {uid: number for uid, number in last.items() if number != 299}


@pytest.mark.parametrize("cut", [0, 1, 77, 199, 200])
def test_what_came_after_a_snapshot_is_counted_on(cut):
    events = passes(200)
    whole, before = Recount({}, {}, ()), Recount({}, {}, ())
    whole.add(events)
    before.add(events[:cut])
    after = Recount(before.tallies(), {}, (), before.lines(), before.arrivals())
    after.add(events[cut:])

    assert (after.arrivals(), after.lines()) == (whole.arrivals(), whole.lines())


def test_nothing_is_counted_behind_a_pass_that_is_missing():
    events = passes(200)
    recount = Recount({}, {}, ())
    recount.add(events[:50] + events[60:])

    assert recount.arrivals().passes == 50
