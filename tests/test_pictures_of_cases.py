"""What gradscope sees in the cases can be drawn: a sample here, all of them by benchmarks/pictures_of_cases.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from case_runner import CASES, Server

from gradscope.report import Report
from gradscope.runfile import open_run
from tests.render.every_picture import failures, unplated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked processes")

EVERY = 25
PLATES = (
    "alpha_loss_with_python_alpha",
    "binary_gate_function_backward_none",
    "critic_left_frozen_after_actor_update",
    "domain_loss_added_to_its_negative",
    "functional_call_on_state_dict",
    "grid_encoder_without_input_gradient",
    "initial_state_of_a_hundred_step_rnn",
    "layers_kept_in_a_python_list",
    "missing_sensor_readings_in_batch",
    "temperature_read_with_item",
)
"""One of each kind: cut, zero, NaN, vanishing, frozen, not in the optimizer; told where the forward is not."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/case.json"))[::EVERY])
def test_case_is_drawn(case: str, server: Server, tmp_path: Path) -> None:
    server.findings(CASES / case, "train.py", tmp_path / "run.gradscope")

    assert list(failures(Report(open_run(tmp_path / "run.gradscope").run))) == []


@pytest.mark.parametrize("case", PLATES)
def test_the_line_of_each_finding_stands_in_the_graph(case: str, server: Server, tmp_path: Path) -> None:
    server.findings(CASES / case, "train.py", tmp_path / "run.gradscope")
    report = Report(open_run(tmp_path / "run.gradscope").run)

    assert any(finding.location for finding in report.findings)
    assert [words for depth in (0, 1, 2, 5) for words in unplated(report, report.graph(depth).source)] == []
