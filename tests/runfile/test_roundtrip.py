"""What is written comes back equal, value for value and type for type."""

from __future__ import annotations

import json
import math
import random
import sqlite3
import time
from dataclasses import replace

import pytest

from gradscope.records import Backward, Location, OptimizerStep, Parameter, Run
from gradscope.records.columns import Cohort, Column
from gradscope.runfile import RunWriter, open_run, read_run, write_run
from gradscope.runfile.codec import DamagedError, coder
from gradscope.runfile.packing import decode_atom, encode_atom, pack, unpack
from gradscope.runfile.window import Window


@pytest.mark.parametrize("seed", range(60))
def test_generated_run_comes_back_equal(seed, generate, tmp_path):
    run = generate(seed)
    write_run(tmp_path / "run.gradscope", run)

    assert read_run(tmp_path / "run.gradscope") == run


@pytest.mark.parametrize("seed", range(20))
def test_types_survive_too(seed, generate, tmp_path):
    """Equality forgives 1 for 1.0 and -0.0 for 0.0; `repr` does not."""
    run = generate(seed)
    write_run(tmp_path / "run.gradscope", run)
    back = read_run(tmp_path / "run.gradscope")

    def shown(run: Run) -> list[str]:
        sets_sorted = coder(Run).encode(replace(run, events=()))
        return [repr(sets_sorted), *(repr(coder(type(e)).encode(_sorted(e))) for e in run.events)]

    assert shown(back) == shown(run)


def _sorted(event):
    names = [n for n in ("norms", "ratios", "weights", "kept") if hasattr(event, n)]
    return replace(event, **{n: dict(sorted(getattr(event, n).items())) for n in names})


def of_one_pass(norms):
    parameters = {uid: Parameter(uid, (2,), "float32", "cpu", True) for uid in norms}
    return Run(parameters=parameters, events=(Backward(0, 0, 0, (), norms),))


def test_nan_and_unmeasured_are_kept_apart(tmp_path):
    norms = {1: float("nan"), 2: None, 3: 0.0, 5: float("inf")}
    write_run(tmp_path / "run.gradscope", of_one_pass(norms))
    back = read_run(tmp_path / "run.gradscope").events[0].norms

    assert math.isnan(back[1])
    assert {uid: back[uid] for uid in (2, 3, 5)} == {2: None, 3: 0.0, 5: float("inf")}


def test_values_beyond_float32_are_exact(tmp_path):
    norms = {uid: random.Random(uid).random() * 10.0 ** (uid - 200) for uid in range(400)}
    write_run(tmp_path / "run.gradscope", of_one_pass(norms))

    assert read_run(tmp_path / "run.gradscope").events[0].norms == norms


def test_finished_file_is_a_single_plain_file(training, tmp_path):
    write_run(tmp_path / "run.gradscope", training())

    assert [p.name for p in tmp_path.iterdir()] == ["run.gradscope"]
    assert open_run(tmp_path / "run.gradscope").finished


def test_reading_leaves_nothing_behind(training, tmp_path):
    write_run(tmp_path / "run.gradscope", training())
    read_run(tmp_path / "run.gradscope")

    assert [p.name for p in tmp_path.iterdir()] == ["run.gradscope"]


def test_tallies_of_an_unfinished_run_are_counted_again(training, tmp_path):
    run = training(steps=9)
    with_five = training(steps=5)
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(replace(run, tallies={}, lines=(), events=(), steps=0, backwards=0))
    for step in range(9):
        writer.events(step, run.events[3 * step : 3 * step + 3])
        if step == 4:
            writer.snapshot(replace(with_five, optimizers=run.optimizers))
    writer.close()
    opened = open_run(tmp_path / "run.gradscope")

    assert not opened.finished
    assert opened.run.tallies == run.tallies
    assert opened.run.lines == run.lines
    assert (opened.run.steps, opened.run.backwards) == (9, 9)
    assert opened.run.events == run.events


def test_models_that_join_later_are_there(training, tmp_path):
    run = training(steps=2)
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(Run())
    writer.events(0, run.events[:3])
    writer.snapshot(replace(run, events=()))
    writer.close()

    assert read_run(tmp_path / "run.gradscope").models == run.models


def test_a_long_run_is_read_within_a_budget(training, tmp_path):
    run = training(steps=400)
    write_run(tmp_path / "run.gradscope", run)
    back = open_run(tmp_path / "run.gradscope", budget=40_000).run
    steps = sorted({event.step for event in back.events})

    assert len(steps) < 200
    assert steps[-20:] == list(range(380, 400))
    assert steps[0] == 0
    assert back.tallies == run.tallies
    assert any("was loaded" in note for note in back.notes)


def test_window_keeps_the_newest_whole_and_the_oldest_thinned():
    window = Window(100)
    for step in range(1000):
        window.add(step, bytes([step % 256]))
    kept = list(window.bodies())

    assert len(kept) <= 101
    assert kept[-50:] == [bytes([step % 256]) for step in range(950, 1000)]


def test_file_is_bounded_and_counts_stay_exact(training, tmp_path):
    run = training(steps=1024, width=40)
    limit = 256 * 1024
    writer = RunWriter(tmp_path / "run.gradscope", max_bytes=limit)
    writer.begin(replace(run, tallies={}, events=(), steps=0, backwards=0))
    for step in range(1024):
        writer.events(step, run.events[3 * step : 3 * step + 3])
        if step % 128 == 127:
            writer.snapshot(training(steps=step + 1, width=40))
    writer.finish(run)
    assert writer.failure is None
    back = read_run(tmp_path / "run.gradscope")

    assert (tmp_path / "run.gradscope").stat().st_size < 2 * limit
    assert back.tallies == run.tallies
    assert {event.step for event in back.events} >= set(range(1000, 1024))


def test_file_that_cannot_be_bounded_stops_and_says_so(training, tmp_path):
    run = training(steps=256, width=200)
    writer = RunWriter(tmp_path / "run.gradscope", max_bytes=64 * 1024)
    writer.begin(replace(run, tallies={}, events=(), steps=0))

    def write() -> None:
        for step in range(256):
            writer.events(step, run.events[3 * step : 3 * step + 3])
        writer.close()

    with pytest.warns(RuntimeWarning, match=r"stopped writing 'run.gradscope' after step .* limit of 65,536 bytes"):
        write()

    assert 0 < read_run(tmp_path / "run.gradscope").steps < 256


def test_log_is_moved_into_the_file_beside_the_training(training, tmp_path, monkeypatch):
    """Without it the log would grow to 2 MB."""
    monkeypatch.setattr("gradscope.runfile.writer.LOG_BYTES", 64 * 1024)
    run = training(steps=400)
    path = tmp_path / "run.gradscope"
    writer = RunWriter(path)
    writer.begin(replace(run, events=(), tallies={}, steps=0))
    for step in range(400):
        writer.events(step, run.events[3 * step : 3 * step + 3])
        time.sleep(0.001)  # a step in which the interpreter is free
    log = (tmp_path / "run.gradscope-wal").stat().st_size
    writer.finish(run)

    assert log < 1_000_000
    assert read_run(path) == run


def test_sets_and_paths_are_stored_once(training, tmp_path):
    write_run(tmp_path / "run.gradscope", training(steps=100))
    connection = sqlite3.connect(tmp_path / "run.gradscope")
    (atoms,) = connection.execute("SELECT count(*) FROM atoms").fetchone()
    connection.close()

    assert atoms == 2


def test_what_was_applied_as_it_came_is_stored_once_and_what_was_not_measured_takes_no_room(tmp_path):
    cohort = Cohort(range(1000))
    column, other = Column(cohort, [0.5] * 1000), Column(cohort, [0.25] * 1000)
    events = {
        "both": (Backward(1, 0, 0, (), column), OptimizerStep(2, 0, 0, 0, (), column, (0.1,))),
        "apart": (Backward(1, 0, 0, (), column), OptimizerStep(2, 0, 0, 0, (), other, (0.1,))),
        "none": (Backward(1, 0, 0, (), Column(cohort)), OptimizerStep(2, 0, 0, 0, (), Column(cohort), (0.1,))),
    }
    atoms: list[frozenset[int] | tuple[Location, ...]] = []

    def to_atom(atom):
        atoms.append(atom)
        return len(atoms) - 1

    packed = {name: pack(both, to_atom) for name, both in events.items()}
    back = {
        name: unpack(body, lambda number, kind: decode_atom(encode_atom(atoms[number]), kind, 1000))
        for name, body in packed.items()
    }

    assert back == events
    assert len(packed["both"]) < 4_500
    assert len(packed["apart"]) > 8_000
    assert len(packed["none"]) < 500


@pytest.mark.parametrize("entry", [[0], [-1], [True], ["0"], []])
def test_a_column_that_stands_for_one_that_is_not_there_is_damage(entry):
    head = json.dumps([{"event": "Backward", "clock": 1, "step": 0, "index": 0, "path": 0, "norms": entry}]).encode()

    with pytest.raises(DamagedError):
        unpack(len(head).to_bytes(4, "little") + head, lambda number, kind: ())
