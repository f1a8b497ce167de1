"""`gradscope report`: a saved or growing run, diagnosed without torch."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from gradscope.cli import report as command
from gradscope.runfile import RunWriter, write_run

ROOT = Path(__file__).parents[2]


def test_report_of_a_run_file_without_torch(training, tmp_path):
    write_run(tmp_path / "run.gradscope", training())
    code = (
        "import sys; sys.modules['torch'] = None; from gradscope.cli.main import main;"
        " raise SystemExit(main(['report', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run.gradscope")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "encoder" in done.stdout


def test_follow_tells_progress_until_the_end(training, tmp_path, monkeypatch):
    run = training(steps=6)
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(replace(run, events=(), tallies={}, steps=0))
    monkeypatch.setattr(time, "sleep", lambda _: advance.release() or moved.acquire(timeout=10))
    advance, moved = threading.Semaphore(0), threading.Semaphore(0)

    def train():
        for step in range(6):
            advance.acquire()
            writer.events(step, run.events[3 * step : 3 * step + 3])
            moved.release()
        advance.acquire()
        writer.finish(run)
        moved.release()

    thread = threading.Thread(target=train)
    thread.start()
    steps = [report.run.steps for report in command._reports(str(tmp_path / "run.gradscope"), interval=1)]
    thread.join()

    assert steps == [0, 1, 2, 3, 4, 5, 6, 6]


def test_follow_ends_with_a_dead_writer(training, tmp_path):
    writer = RunWriter(tmp_path / "run.gradscope")
    writer.begin(training())
    writer.close()

    assert len(list(command._reports(str(tmp_path / "run.gradscope"), interval=1))) == 1
