"""Whatever happened to a file: what was completed opens, the rest is told, and nothing else is raised."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from gradscope.errors import RunFileError
from gradscope.records import Backward
from gradscope.report import Report
from gradscope.runfile import RunWriter, open_run, read_run, write_run
from gradscope.runfile.store import Store
from gradscope.runfile.whole import whole

ROOT = Path(__file__).parents[2]
PAGE = 4096


def run_script(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_completed_step_is_lost_by_kill_9():
    out = run_script(str(ROOT / "benchmarks" / "crash_test.py"), "--count", "20")

    assert out.endswith(" 0 lost\n")


def test_mutated_files_give_a_run_or_one_clear_error():
    out = run_script(str(ROOT / "benchmarks" / "fuzz_runfile.py"), "--count", "2000", "--seed", "1")

    assert out.startswith("2000 files")


def is_prefix(found, whole):
    return found == whole[: len(found)]


def test_truncation_at_any_byte_keeps_the_steps_before_it(training, tmp_path):
    run = training(steps=60)
    path = tmp_path / "run.gradscope"
    write_run(path, run)
    content = path.read_bytes()
    connection = sqlite3.connect(path)
    ends = [content.index(body) // PAGE * PAGE + PAGE for (body,) in connection.execute("SELECT body FROM turns")]
    connection.close()
    for cut in [*range(PAGE, len(content), 613), *range(PAGE, len(content), PAGE)]:
        path.write_bytes(content[:cut])
        back = read_run(path)
        survived = sum(end <= cut for end in ends)

        # SQLite fills a page from its end: of the page that is cut through, single steps may survive.
        assert all(event in run.events for event in back.events), cut
        assert is_prefix(run.events[: 3 * survived], back.events), cut
        assert back.notes, cut
        assert str(Report(back))
        if survived:
            assert back.models == run.models


def test_truncation_within_the_first_page_is_one_clear_sentence(training, tmp_path):
    path = tmp_path / "run.gradscope"
    write_run(path, training())
    content = path.read_bytes()
    for cut in range(0, PAGE, 97):
        path.write_bytes(content[:cut])
        with pytest.raises(RunFileError, match=r"'run.gradscope'"):
            read_run(path)


@pytest.mark.parametrize("part", ["run.gradscope-wal", "run.gradscope"])
def test_truncation_of_a_crashed_run_and_its_log(part, training, tmp_path):
    """The state a dead process leaves is the file and its log; either may be cut."""
    run = training(steps=40)
    source = tmp_path / "live"
    source.mkdir()
    writer = RunWriter(source / "run.gradscope")
    writer.begin(replace(run, events=(), tallies={}, steps=0))
    for step in range(40):
        writer.events(step, run.events[3 * step : 3 * step + 3])
    writer._drain()
    crashed = {name: (source / name).read_bytes() for name in ("run.gradscope", "run.gradscope-wal")}
    writer.close()
    lengths = []
    for number, cut in enumerate(range(PAGE, len(crashed[part]) + 1, 1511)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, content in crashed.items():
            (folder / name).write_bytes(content[:cut] if name == part else content)
        back = read_run(folder / "run.gradscope")
        lengths.append(back.backwards)

        assert not back.parameters or is_prefix(back.events, run.events)
        assert str(Report(back))
        assert "was not finished" in back.notes[-1]
        shutil.rmtree(folder)

    assert lengths == sorted(lengths)
    assert lengths[-1] >= 38


def test_what_joined_after_the_last_snapshot_is_left_out_and_told(training, tmp_path):
    """The writer was killed before the names of a parameter and of an optimizer were on disk."""
    run = training(steps=3)
    seen = range(9)
    known = replace(
        run,
        events=(),
        optimizers=(),
        parameters={uid: run.parameters[uid] for uid in seen},
        models=tuple(replace(m, parameters=tuple(u for u in m.parameters if u in seen)) for m in run.models),
        tallies={},
    )
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(known)
    writer.events(0, run.events[:3])
    writer.close()
    back = read_run(tmp_path / "run.gradscope")

    assert set(back.backward_events[0].norms) == {6, 7, 8}
    assert not back.step_events
    assert set(back.tallies) <= set(seen)
    assert "3 parameters are left out: the run file ends before their names" in back.notes
    assert "decoder" in str(Report(back))


def test_traced_steps_since_the_last_snapshot_are_counted(training, tmp_path):
    run = training(steps=6)
    events = [replace(e, root=e.index) if isinstance(e, Backward) and e.step < 5 else e for e in run.events]
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(replace(run, events=(), tallies={}, steps=0))
    for step in range(6):
        writer.events(step, events[3 * step : 3 * step + 3])
        if step == 2:
            writer.snapshot(replace(run, events=(), steps=3, traced=3))
    writer.close()

    assert read_run(tmp_path / "run.gradscope").traced == 5


def test_damaged_row_costs_one_step(training, tmp_path):
    run = training(steps=10)
    path = tmp_path / "run.gradscope"
    write_run(path, run)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE turns SET body = zeroblob(length(body)) WHERE step = 4")
    connection.close()
    back = read_run(path)

    assert {event.step for event in back.events} == set(range(10)) - {4}
    assert back.tallies == run.tallies
    assert any("damaged" in note for note in back.notes)


def test_full_disk_stops_the_file_and_not_the_training(tmp_path):
    """A limit on the file size fails in the middle of a write, as a full disk does."""
    script = f"""
        import resource, sys, warnings
        sys.path[:0] = [{str(ROOT / "benchmarks")!r}]
        from crash_test import events_of, header
        from gradscope.runfile import RunWriter

        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
        writer = RunWriter({str(tmp_path / "run.gradscope")!r})
        writer.begin(header())
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for step in range(2000):
                writer.events(step, events_of(step))
            writer.finish(header())
        print(len(told), writer.committed, told[0].message)
    """
    count, committed, message = run_script("-c", textwrap.dedent(script)).split(maxsplit=2)
    back = read_run(tmp_path / "run.gradscope")

    assert count == "1"
    assert message.startswith(f"gradscope stopped writing 'run.gradscope' after step {committed}: ")
    assert 0 < int(committed) < 1999
    assert back.steps == int(committed) + 1
    assert "was not finished" in back.notes[-1]


def test_interpreter_that_ends_without_closing_loses_nothing(tmp_path):
    script = f"""
        import sys
        sys.path[:0] = [{str(ROOT / "benchmarks")!r}]
        from crash_test import events_of, header
        from gradscope.runfile import RunWriter

        writer = RunWriter({str(tmp_path / "run.gradscope")!r})
        writer.begin(header())
        for step in range(50):
            writer.events(step, events_of(step))
    """
    run_script("-c", textwrap.dedent(script))

    assert read_run(tmp_path / "run.gradscope").steps == 50
    assert [p.name for p in tmp_path.iterdir()] == ["run.gradscope"]


def test_forked_worker_writes_nothing_and_does_not_hang(training, tmp_path):
    run = training()
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(run)
    worker = os.fork()
    if worker == 0:
        signal.alarm(20)
        for step in range(100):
            writer.events(step, run.events)
        writer.close()
        os._exit(0)
    assert os.waitpid(worker, 0)[1] == 0
    writer.events(0, run.events[:3])
    writer.close()

    assert open_run(tmp_path / "run.gradscope").run.events == run.events[:3]


def test_a_failure_of_any_kind_in_the_writing_thread_does_not_hold_up_the_training(training, tmp_path, monkeypatch):
    def fail(*_):
        raise AttributeError("nobody thought of this")

    monkeypatch.setattr(Store, "write", fail)
    run = training(steps=3)
    writer = RunWriter(tmp_path / "run.gradscope")
    with pytest.warns(RuntimeWarning, match="stopped writing 'run.gradscope' after step -1: nobody thought of this"):
        writer.begin(run)
    writer.events(0, run.events[:3])
    writer.finish(run)


def test_an_optimizer_whose_number_was_mutated_is_the_one_at_its_place(training):
    run = training()
    wrong = replace(run, optimizers=tuple(replace(optimizer, uid=77) for optimizer in run.optimizers))

    assert whole(wrong).optimizers == whole(run).optimizers
    assert Report(whole(wrong)).findings == Report(whole(run)).findings
