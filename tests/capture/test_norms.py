"""Norms of many tensors at once are those of each alone, in the order that was asked for."""

from __future__ import annotations

import pytest
import torch

from gradscope.capture.norms import MANY, SIDE_BY_SIDE, Measured, Plan, norms

MIXED = [(3,), (4, 2), (3,), (70, 80), (), (3,), (4, 2), (0,), (3,), (2, 4), (4, 2), (3,), (4, 2), (8,)]


def tensors(dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=dtype) * (n + 1) for n, shape in enumerate(MIXED)]


def alone(several: list[torch.Tensor]) -> list[float]:
    return [torch.linalg.vector_norm(t.double() if t.is_floating_point() else t).item() for t in several]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
@pytest.mark.parametrize("wait", [True, False])
def test_norms_come_in_the_order_of_the_tensors(dtype, wait):
    several = tensors(dtype)
    several = [t for t in several if wait or t.numel()]  # a zero that comes late is not told from an underflow
    for plan in (None, Plan(several)):
        assert Measured(several, plan, wait=wait).values() == pytest.approx(alone(several))


def test_side_by_side_in_pieces():
    several = [torch.full((2,), float(n)) for n in range(SIDE_BY_SIDE + MANY)]
    assert norms(several) == pytest.approx(alone(several))


def test_what_lies_side_by_side_is_looked_at_again_where_it_underflows_or_overflows():
    several = [torch.full((3,), value) for value in (1.0, 1e-30, 0.0, 1e30, float("inf"), float("nan"))]
    found = norms(several)
    assert found[:4] == pytest.approx([3**0.5, 1e-30, 0.0, 3**0.5 * 1e30])
    assert found[4] == float("inf")
    assert found[5] != found[5]


@pytest.mark.parametrize("change", ["dtype", "layout", "mixed", "transposed"])
def test_a_plan_that_does_not_fit_any_more_changes_no_number(change):
    several = tensors()
    plan = Plan(several)
    if change == "dtype":
        several = [t.to(torch.float16) for t in several]
    elif change == "layout":
        several = [t.to_sparse() if t.dim() else t for t in several]
    elif change == "mixed":
        several[2], several[6] = several[2].to_sparse(), several[6].double()
    else:
        several = [t.t().contiguous().t() if t.dim() == 2 else t for t in several]
    dense = [t.to_dense() if t.is_sparse else t for t in several]
    assert Measured(several, plan).values() == pytest.approx(alone(dense), rel=1e-3)
