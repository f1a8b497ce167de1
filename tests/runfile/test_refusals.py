"""One clear sentence for a file that is not ours, is too new, or is being written by somebody else."""

from __future__ import annotations

import pickle
import sqlite3
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from gradscope.errors import RunFileError
from gradscope.records import Arrivals, Histogram
from gradscope.runfile import RunWriter, open_run, rank_path, read_run, write_run
from gradscope.runfile.schema import APPLICATION_ID, FORMAT, file_system, journal_mode

ROOT = Path(__file__).parents[2]


def alter(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_missing_file(tmp_path):
    with pytest.raises(RunFileError, match=r"^there is no run file '.*none.gradscope': `gradscope run --out FILE`"):
        read_run(tmp_path / "none.gradscope")


def test_folder(tmp_path):
    with pytest.raises(RunFileError, match="is no file"):
        read_run(tmp_path)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("unpickled"),))


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n", b'{"schema": 1}', pickle.dumps(Bomb()), b"SQLite format 3\x00" + bytes(4080), bytes(100_000)],
    ids=["empty", "text", "json", "pickle", "bare header", "zeros"],
)
def test_foreign_file(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "other.gradscope"
    path.write_bytes(content)
    with pytest.raises(RunFileError, match=r"'other.gradscope'.* gradscope run file") as caught:
        read_run(path)

    assert "\n" not in str(caught.value)
    assert not Path("unpickled").exists()


def test_database_of_another_program(tmp_path):
    alter(tmp_path / "other.db", "CREATE TABLE turns (id INTEGER)")
    with pytest.raises(RunFileError, match=r"^'other.db' is not a gradscope run file$"):
        read_run(tmp_path / "other.db")


def test_newer_format(training, tmp_path):
    path = tmp_path / "run.gradscope"
    write_run(path, training())
    alter(path, f"PRAGMA user_version={FORMAT + 1}", "CREATE TABLE novelty (id INTEGER)")
    with pytest.raises(RunFileError, match=r"written by a newer gradscope \(format 2.*pip install --upgrade"):
        read_run(path)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW more AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT x FROM c",
        "CREATE TRIGGER t AFTER INSERT ON turns BEGIN DELETE FROM atoms; END",
        "CREATE INDEX i ON turns (step)",
        "ALTER TABLE turns ADD COLUMN more",
    ],
)
def test_tables_that_are_not_exactly_ours(statement, training, tmp_path):
    path = tmp_path / "run.gradscope"
    write_run(path, training())
    alter(path, statement)
    with pytest.raises(RunFileError, match="is not a gradscope run file"):
        read_run(path)


def test_endless_view_in_place_of_a_table(tmp_path):
    path = tmp_path / "run.gradscope"
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS id, x AS step FROM c"
    alter(path, f"CREATE VIEW turns AS {endless}", f"PRAGMA application_id={APPLICATION_ID}")
    with pytest.raises(RunFileError, match="is not a gradscope run file"):
        read_run(path)


def test_compressed_bomb_is_not_inflated(training, tmp_path):
    path = tmp_path / "run.gradscope"
    write_run(path, training())
    bomb = zlib.compress(b"[" + b"[]," * 30_000_000 + b"[]]", 9)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE facts SET body = ?, crc = ? WHERE section = 'cuts'", (bomb, zlib.crc32(bomb)))
    connection.commit()
    connection.close()
    back = read_run(path)

    assert back.cuts == ()
    assert "the cuts of the run file could not be read" in back.notes


def test_arrivals_that_cannot_have_been_counted_are_left_out(training, tmp_path):
    path = tmp_path / "run.gradscope"
    write_run(path, replace(training(), arrivals=Arrivals(passes=2**60, rows={0: 9})))
    back = read_run(path)

    assert back.arrivals == Arrivals()
    assert "the arrivals of the run file make no sense and were left out" in back.notes


def test_two_writers_in_one_process(training, tmp_path):
    path = tmp_path / "run.gradscope"
    writer = RunWriter(path)
    with pytest.raises(
        RunFileError, match=r"^'run.gradscope' is being written by another run: give this one another name"
    ):
        RunWriter(path)
    writer.finish(training())
    RunWriter(path).close()


def test_two_writers_in_two_processes(training, tmp_path):
    path = tmp_path / "run.gradscope"
    writer = RunWriter(path)
    writer.begin(training())
    second = "import sys; from gradscope.runfile import RunWriter; RunWriter(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", second, str(path)], check=False, cwd=ROOT, capture_output=True, text=True
    )
    writer.events(0, training().events[:3])
    writer.close()

    assert "RunFileError: 'run.gradscope' is being written by another run" in done.stderr
    assert read_run(path).events == training().events[:3]


def test_a_foreign_file_is_never_overwritten(tmp_path):
    path = tmp_path / "notes.gradscope"
    path.write_text("my notes")
    with pytest.raises(RunFileError, match="exists and is not a gradscope run file: choose another name"):
        RunWriter(path)

    assert path.read_text() == "my notes"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.gradscope"]


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(RunFileError, match=r"cannot write the run file .*: there is no folder"):
        RunWriter(tmp_path / "none" / "run.gradscope")


def test_a_former_run_is_kept(training, tmp_path):
    path = tmp_path / "run.gradscope"
    for steps in (3, 4, 5):
        write_run(path, training(steps=steps))

    assert read_run(path).steps == 5
    assert read_run(tmp_path / "run.previous.gradscope").steps == 4
    assert len(list(tmp_path.iterdir())) == 2


def test_a_crashed_run_is_kept_with_its_log(tmp_path):
    crash = ROOT / "benchmarks" / "crash_test.py"
    path = tmp_path / "run.gradscope"
    command = [sys.executable, str(crash), "--child", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}) as child:
        while child.stdout.readline() != b"20\n":
            pass
        assert open_run(path).live
        child.kill()
    RunWriter(path).close()

    assert read_run(tmp_path / "run.previous.gradscope").steps >= 21


def test_reading_while_it_is_written(training, tmp_path):
    run = training(steps=30)
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(replace(run, events=(), tallies={}, steps=0))
    for step in range(30):
        writer.events(step, run.events[3 * step : 3 * step + 3])
        opened = open_run(tmp_path / "run.gradscope")
        assert opened.live
        assert not opened.finished
        assert opened.run.events == run.events[: 3 * step + 3]
        assert f"is still being written; it holds the steps up to {step}" in opened.run.notes[-1]
    writer.finish(run)

    assert open_run(tmp_path / "run.gradscope").finished


def test_rank_has_a_file_of_its_own():
    assert rank_path("a/run.gradscope", {}) == Path("a/run.gradscope")
    assert rank_path("a/run.gradscope", {"WORLD_SIZE": "4", "RANK": "0"}) == Path("a/run.gradscope")
    assert rank_path("a/run.gradscope", {"WORLD_SIZE": "4", "RANK": "3"}) == Path("a/run.rank3.gradscope")
    slurm = {"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}
    assert rank_path("a/run.gradscope", slurm) == Path("a/run.rank2.gradscope")
    assert rank_path("a/run.gradscope", slurm | {"SLURM_NTASKS": "1"}) == Path("a/run.gradscope")
    assert rank_path("a/run.gradscope", {"OMPI_COMM_WORLD_RANK": "1"}) == Path("a/run.gradscope")


def test_network_file_systems_get_a_rollback_journal(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path}/my\\040data nfs4 rw 0 0\nlfs {tmp_path}/big lustre rw 0 0\n"
    )

    assert file_system(tmp_path / "run", mounts) == "ext4"
    assert file_system(tmp_path / "my data" / "run", mounts) == "nfs4"
    assert file_system(tmp_path / "bigger" / "run", mounts) == "ext4"
    monkeypatch.setattr("gradscope.runfile.schema.file_system", lambda _: "fuse.sshfs")
    assert journal_mode(tmp_path) == "DELETE"


def test_rollback_journal_writes_the_same(training, tmp_path, monkeypatch):
    monkeypatch.setattr("gradscope.runfile.schema.file_system", lambda _: "nfs4")
    run = training(steps=20)
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(run)
    for step in range(20):
        writer.events(step, run.events[3 * step : 3 * step + 3])
    assert not (tmp_path / "run.gradscope-wal").exists()
    writer.finish(run)

    assert read_run(tmp_path / "run.gradscope") == run


def test_torch_is_not_imported():
    code = "import sys, gradscope.runfile, gradscope.compare; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_histogram_beyond_all_floats_is_left_out(training, tmp_path):
    """A figure would make room for all buckets between it and the others."""
    kept, wild = Histogram(6, 1, -40, (1, 2), (3, 4)), Histogram(7, 1, -(2**52), (1,), (1,))
    write_run(tmp_path / "run.gradscope", replace(training(), histograms=(kept, wild)))

    assert read_run(tmp_path / "run.gradscope").histograms == (kept,)
