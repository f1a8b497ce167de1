"""Histograms against numpy, and what is sampled when."""

from __future__ import annotations

import math

import numpy
import pytest
import torch

import gradscope
from gradscope.capture import histograms
from gradscope.capture.histograms import HistogramBook, measure
from gradscope.records import Histogram


def by_numpy(gradient: torch.Tensor) -> Histogram:
    """The same, entry by entry."""
    entries = gradient.detach().double().numpy().ravel()
    regular = entries[numpy.isfinite(entries) & (entries != 0)]
    powers = numpy.array([math.frexp(abs(entry))[1] - 1 for entry in regular], dtype=int)
    low = int(powers.min()) if len(powers) else 0
    width = int(powers.max()) - low + 1 if len(powers) else 0
    sides = [numpy.bincount(powers[where] - low, minlength=width).tolist() for where in (regular < 0, regular > 0)]
    return Histogram(
        0, 3, low, tuple(sides[0][:width]), tuple(sides[1][:width]),
        int((entries == 0).sum()), int(numpy.isnan(entries).sum()), int(numpy.isinf(entries).sum()),
    )  # fmt: skip


def wide(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Entries over many powers of two, with zeros, NaN and Inf among them."""
    torch.manual_seed(0)
    entries = torch.randn(*shape) * torch.exp2(torch.randint(-12, 12, shape))
    flat = entries.view(-1)
    flat[:7], flat[7:9], flat[9:12] = 0, math.nan, -math.inf
    return entries.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_equals_numpy(dtype):
    gradient = wide(40, 30, dtype=dtype)
    assert measure({0: gradient}, 3)[0] == by_numpy(gradient)


def test_counts_every_entry_once():
    found = measure({0: wide(64, 3)}, 0)[0]
    assert sum(found.negative) + sum(found.positive) + found.zeros + found.nan + found.inf == 192


def test_powers_of_two_stand_at_the_lower_edge_of_their_bin():
    found = measure({0: torch.tensor([1.0, 1.999, 2.0, -0.5])}, 0)[0]
    assert (found.low, found.negative, found.positive) == (-1, (1, 0, 0), (0, 2, 1))


def test_subnormal_entries_are_not_zeros():
    found = measure({0: torch.tensor([1e-45, 0.0])}, 0)[0]
    assert (found.low, found.positive, found.zeros) == (-149, (1,), 1)


@pytest.mark.parametrize("entries", [[], [0.0, 0.0], [math.nan], [math.inf, -math.inf]])
def test_nothing_regular_leaves_no_bins(entries):
    found = measure({0: torch.tensor(entries)}, 0)[0]
    assert (found.low, found.negative, found.positive) == (0, (), ())
    assert found.zeros + found.nan + found.inf == len(entries)


def test_several_parameters_do_not_mix():
    first, second = wide(9, 9), torch.tensor([0.25, -8.0])
    found = measure({0: first, 1: second}, 3)
    assert found[0] == by_numpy(first)
    assert (found[1].low, sum(found[1].negative), sum(found[1].positive)) == (-2, 1, 1)


def test_large_gradients_are_counted_in_pieces(monkeypatch):
    gradients = {0: wide(50, 11), 1: wide(7, 5)}
    monkeypatch.setattr(histograms, "CHUNK", 64)
    assert measure(gradients, 3)[0] == by_numpy(gradients[0])


def test_sparse_and_complex_gradients():
    sparse = torch.sparse_coo_tensor([[0, 2, 0]], [1.0, 4.0, 1.0], (5,), check_invariants=True)
    assert measure({0: sparse}, 0)[0].positive == (1, 1)
    assert measure({0: torch.tensor([1 - 4j])}, 0)[0].negative == (0, 0, 1)


def test_the_first_and_the_latest_sample_are_kept():
    book = HistogramBook()
    for step in range(5):
        book.sample({7: torch.full((3,), 2.0**step)}, step)
    assert [(h.step, h.low) for h in book.records()] == [(0, 0), (4, 4)]


def test_large_models_are_sampled_ever_less(monkeypatch):
    taken = []
    monkeypatch.setattr(histograms, "SMALL", 10)
    monkeypatch.setattr(histograms, "measure", lambda gradients, step: taken.append(step) or {})
    book = HistogramBook()
    book.first[0] = Histogram(0, 0, 0, (), ())
    for step in range(20):
        book.sample({0: torch.ones(11)}, step)
    assert taken == [0, 1, 2, 4, 8, 16]


def test_a_gradient_zeroed_since_is_not_taken_for_zero():
    book = HistogramBook()
    book.catch_up({0: torch.zeros(3), 1: torch.zeros(3)}, {0: 4, 1: 4}, {0})
    assert [(h.uid, h.step, h.zeros) for h in book.records()] == [(1, 4, 3)]


def test_watching_counts_the_gradients_at_hand_when_the_report_is_made():
    layer = torch.nn.Linear(3, 2)
    with gradscope.watch(layer=layer) as scope:
        layer(torch.ones(1, 3)).sum().backward()
        run = scope.report().run
    assert [(run.parameters[h.uid].owners[0].fqn, h.low, h.positive) for h in run.histograms] == [
        ("weight", 0, (6,)),
        ("bias", 0, (2,)),
    ]


def test_a_traced_run_keeps_the_first_and_the_last_backward():
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.0)
    scales = iter((1.0, 2.0, 8.0))

    def step() -> None:
        optimizer.zero_grad()
        (layer(torch.ones(1, 3)).sum() * next(scales)).backward()
        optimizer.step()

    run = gradscope.explain(step, repeat=3, models={"layer": layer}).run
    assert [(h.uid, h.low) for h in run.histograms] == [(0, 0), (0, 3), (1, 0), (1, 3)]
