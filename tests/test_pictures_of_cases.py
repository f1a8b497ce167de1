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

DRAWN = (
    "deep_supervision_output_dropped",
    "consistency_loss_only_logged",
    "actor_learner_gradients_stay_in_worker",
    "depth_bins_with_floor_division",
    "forward_through_deepcopied_encoder",
    "checkpoint_given_a_tuple",
    "cached_features_used_instead_of_embedder",
    "dead_relu_after_negative_bias",
    "healthy_dcgan_alternating_updates",
    "healthy_maml_functional_inner_loop",
    "healthy_moe_experts_without_tokens",
    "healthy_gradient_reversal_function",
)
"""Beside each 25th in the alphabet: cuts of many kinds, experts, inner loops, turns."""
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


SAMPLE = sorted(path.parent.name for path in CASES.glob("*/case.json"))[::EVERY]


@pytest.mark.parametrize("case", sorted({*SAMPLE, *DRAWN}))
def test_case_is_drawn(case: str, server: Server, tmp_path: Path) -> None:
    server.findings(CASES / case, "train.py", tmp_path / "run.gradscope")
    run = open_run(tmp_path / "run.gradscope").run

    assert not any("probe failed" in note for note in run.notes)
    assert list(failures(Report(run))) == []


@pytest.mark.parametrize("case", PLATES)
def test_the_line_of_each_finding_stands_in_the_graph(case: str, server: Server, tmp_path: Path) -> None:
    server.findings(CASES / case, "train.py", tmp_path / "run.gradscope")
    report = Report(open_run(tmp_path / "run.gradscope").run)

    assert any(finding.location for finding in report.findings)
    assert [words for depth in (0, 1, 2, 5) for words in unplated(report, report.graph(depth).source)] == []
