"""Starts jobs of several processes, each once for all tests that ask about it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
Told = list[dict[str, Any]]


JOBS = {"ddp": 2, "apart": 2, "faults": 2, "sharded": 4, "pipeline": 2, "killed": 4}


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Told]]:
    """`job(name)`: what each rank told; empty for one that died. All jobs run at the same time."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = {}
    for name, world in JOBS.items():
        folder = tmp_path_factory.mktemp(name)
        command = [sys.executable, str(Path(__file__).with_name("jobs.py")), name, str(world), str(folder)]
        started[name] = folder, subprocess.Popen(command, env=environment, start_new_session=True)

    @cache
    def told(name: str) -> Told:
        folder, process = started[name]
        assert process.wait(timeout=200) == 0
        paths = [folder / f"rank{rank}.json" for rank in range(JOBS[name])]
        answer = [json.loads(path.read_text(encoding="utf-8")) if path.exists() else {} for path in paths]
        failed = [rank["failed"] for rank in answer if "failed" in rank]
        assert not failed, failed[0]
        return answer

    yield told
    for _, process in started.values():
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
