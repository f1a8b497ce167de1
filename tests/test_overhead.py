"""The benchmark of overhead runs: one process per watcher, asked for steps through a pipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "overhead.py"


@pytest.mark.parametrize("watcher", ["plain", "default", "file", "tracing"])
def test_a_watcher_serves_steps(watcher):
    command = [sys.executable, SCRIPT, "--serve", "gan", watcher]
    done = subprocess.run(command, input="1\n1\n0\n", capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("measured:")]
    assert len(lines) == 2
    assert all(float(line.split()[1]) > 0.0 for line in lines)
