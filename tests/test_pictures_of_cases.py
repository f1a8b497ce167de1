"""What gradscope sees in the cases can be drawn: a sample here, all of them by benchmarks/pictures_of_cases.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from case_runner import CASES, Server

from gradscope.report import Report
from gradscope.runfile import open_run
from tests.render.every_picture import failures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked processes")

EVERY = 25


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/case.json"))[::EVERY])
def test_case_is_drawn(case: str, server: Server, tmp_path: Path) -> None:
    server.findings(CASES / case, "train.py", tmp_path / "run.gradscope")

    assert list(failures(Report(open_run(tmp_path / "run.gradscope").run))) == []
