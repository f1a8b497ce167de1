"""Every case of tests/cases: the sick ones are found, at their line, with their cause; the healthy ones stay quiet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from case_runner import CASES, LOUD, Server, Truth, misses, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked processes")

KNOWN_MISSES: dict[str, str] = {
    "aux_loss_lost_in_the_dict": "line",
    "color_constancy_on_grey_image": "cause",
    "differentiable_sort_built_from_data": "cause",
    "freeze_by_substring_catches_time_embedding": "found line cause",
    "freeze_model_freezes_market_heads": "found line cause",
    "minimax_generator_loss": "line cause",
    "mask_loss_divided_by_its_size": "found line cause",
    "surrogate_sigmoid_backward_overflows": "cause",
    "user_table_grown_by_from_pretrained": "found line cause",
    "word_language_model_lr_twenty": "cause",
}
"""What is not right yet, and which columns of it; a case that gets better fails until it is taken out."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/case.json")))
def test_case(case: str, server: Server) -> None:
    truth = Truth.read(CASES / case)
    said = server.findings(CASES / case, "train.py")
    missed = misses(truth, said)
    told = f"said of train.py:\n{shown(said)}"
    if truth.has_fixed:
        repaired = server.findings(CASES / case, "fixed.py")
        if any(f["severity"] in LOUD for f in repaired):
            missed.add("silent")
            told += f"\nsaid of fixed.py:\n{shown(repaired)}"
    known = set(KNOWN_MISSES.get(case, "").split())
    assert missed == known, f"misses {sorted(missed)}, KNOWN_MISSES says {sorted(known)}; {truth}\n{told}"
    if known:
        pytest.xfail(f"known to miss: {', '.join(sorted(known))}")


def test_known_misses_are_cases() -> None:
    assert {case for case in KNOWN_MISSES if not (CASES / case / "case.json").exists()} == set()
