"""Norms of whole models, by hand-made facts."""

from __future__ import annotations

import dataclasses

import pytest

from gradscope.records import Backward, OptimizerStep, Run
from gradscope.records.sizes import applied_norm


def run(left, applied):
    return Run(
        events=(Backward(0, 0, 0, (), {0: 9.0}), Backward(1, 1, 1, (), left), OptimizerStep(2, 1, 0, 0, (), applied))
    )


@pytest.mark.parametrize(
    ("left", "applied", "told"),
    [
        ({0: 2.0}, {0: 1.0}, 1.0),
        ({0: 1.0}, {0: 1.0}, None),
        ({0: None}, {0: 1.0}, None),  # not measured: nothing can be compared, least of all with the pass before
        ({0: 2.0}, {0: None}, None),
        ({1: 5.0}, {0: 1.0}, 1.0),  # this pass did not reach it, the one before did
        ({0: 2.0}, {}, None),
    ],
)
def test_what_was_applied_is_told_if_its_own_pass_left_something_else(left, applied, told):
    assert applied_norm(run(left, applied), (0,)) == told


def test_what_one_rank_applies_of_a_split_parameter_is_not_told_beside_the_norm_of_the_whole():
    split = dataclasses.replace(run({0: 2.0}, {0: 1.0}), parts={0: (2, 0)})

    assert applied_norm(split, (0,)) is None
