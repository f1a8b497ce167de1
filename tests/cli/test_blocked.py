"""A process whose main thread comes to no end when it is told to: a thread reports for it, and for nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGIN = """
import os, signal, sys, time
from gradscope.cli import blocked
blocked.PATIENCE = 0.5
signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
told = blocked.Blocked(signal.SIGTERM)
told.attach()
told.reports(lambda: print("reported"))
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no such signals")


def ended(script):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BEGIN + script], env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout.split(), done.stderr


def test_a_blocked_process_reports_and_ends():
    """The handler sleeps, as python would never come to it in a collective."""
    code = """
signal.signal(signal.SIGTERM, lambda *_: time.sleep(30))
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(30)
"""
    assert ended(code)[:2] == (128 + signal.SIGTERM, ["reported"])


def test_the_end_of_a_forked_worker_is_not_that_of_its_parent():
    code = """
worker = os.fork()
if not worker:
    time.sleep(30)
    os._exit(0)
time.sleep(0.3)
os.kill(worker, signal.SIGTERM)
_, status = os.waitpid(worker, 0)
time.sleep(1.5)
print("alive", os.waitstatus_to_exitcode(status))
"""
    assert ended(code) == (0, ["alive", "9"], "")


def test_the_main_thread_gives_way_to_the_thread_that_reports_already():
    """What the script waited for may fail in the meantime, and the main thread comes to the end, too."""
    code = """
told.reports(lambda: (time.sleep(1), print("reported")))
signal.signal(signal.SIGTERM, lambda *_: None)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(1)
told.give_way()
print("lost")
"""
    assert ended(code)[:2] == (128 + signal.SIGTERM, ["reported"])
