"""Progress is for eyes on a terminal: never in a pipe, never in the middle of the script's own lines."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time

import pytest

from gradscope.cli.progress import CLEAR, Progress, progress_on

SCRIPT = """
import time, torch
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    print('step', step)
    time.sleep(0.05)
"""
EAGER = "import gradscope.cli.progress as p; p.AFTER = p.REFRESH = p.ADD_LINE = 0.0; "
RUN = EAGER + "from gradscope.cli.main import main; import sys; sys.exit(main(['run', 'train.py']))"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def steps(alone, seconds):
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, alone, clock)
    for step in range(seconds):
        clock.now += 1.0
        progress.step(step)
    progress.close()
    return stream.getvalue()


def test_a_short_run_says_nothing():
    assert steps(True, 4) == steps(False, 4) == ""


def test_one_line_is_kept_up_to_date_and_taken_away():
    text = steps(True, 8)

    assert text.split(CLEAR)[1:] == [*(f"gradscope: step {n}, 0:0{n}, 1.0 steps/s" for n in (5, 6, 7, 8)), ""]
    assert "\n" not in text


def test_beside_the_script_whole_lines_are_added_rarely():
    assert steps(False, 40).count("\n") == 2
    assert all(line.startswith(CLEAR) for line in steps(False, 40).split("\n")[:-1])


def test_a_pipe_a_closed_stream_and_a_dumb_terminal_get_none(monkeypatch):
    closed = io.StringIO()
    closed.close()

    assert [progress_on(stream, None) for stream in (None, io.StringIO(), closed)] == [None] * 3


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo terminals")
@pytest.mark.parametrize("piped", [True, False], ids=["stdout piped", "stdout on the terminal"])
def test_a_terminal_shows_it_and_a_pipe_does_not(piped, tmp_path, environment):
    (tmp_path / "train.py").write_text(SCRIPT)
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=tmp_path,
        env=environment | {"TERM": "xterm"},
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = _read(ours)
    out, _ = child.communicate(timeout=60)

    assert child.returncode == 0
    assert re.search(r"gradscope: step 2, \d+:\d\d, ", seen)
    if piped:
        assert out == b"".join(b"step %d\n" % n for n in range(4))
    else:
        assert re.findall(r"^step \d$", seen.replace("\r\n", "\n"), re.MULTILINE) == [f"step {n}" for n in range(4)]


def _read(terminal):
    parts = []
    limit = time.monotonic() + 100
    while time.monotonic() < limit:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so where the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode()
