"""Runs a script under plain python and under `gradscope run`, to compare the two."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

Done = subprocess.CompletedProcess[str]
Command = Callable[..., Done]


@pytest.fixture
def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


@pytest.fixture
def plain(tmp_path: Path, environment: dict[str, str]) -> Command:
    """`python ARGS` in the test's folder."""

    def run(*args: str, stdin: str = "", **extra: str) -> Done:
        return subprocess.run(
            [sys.executable, *args],
            cwd=tmp_path,
            env=environment | extra,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
            encoding="utf-8",
            errors="backslashreplace",
        )

    return run


@pytest.fixture
def gradscope(plain: Command) -> Command:
    """`gradscope ARGS` in the test's folder."""

    def run(*args: str, **options: str) -> Done:
        return plain("-m", "gradscope", *args, **options)

    return run
