"""The hot path never waits for a device: numbers stay there, and are fetched one pass late, in one transfer."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import gradscope
from gradscope.capture import norms, stepping
from gradscope.records import Backward
from tests.capture.far_device import Far

STEPS = 12
BEFORE = 2
"""The first has no pass before it, and is compared; the second looks at what is left of its update."""
FETCH = "tolist, norms.py:values"
"""The one transfer: what was computed in the pass before."""


@pytest.fixture(autouse=True)
def _far(monkeypatch):
    monkeypatch.setattr(norms, "_PLAIN", {*norms._PLAIN, Far})  # there, the device's tensors are plain ones
    monkeypatch.setattr(stepping, "FIRST", 0)  # comparing updates reads them: at the first steps, then every fiftieth
    monkeypatch.setattr(stepping, "THEN", 10**9)
    Far.reads.clear()


def far_net(widths: tuple[int, ...] = (3,) * 7) -> nn.Module:
    net = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    for module in net.modules():
        for name, value in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(Far(value.detach())))
    return net


def turn(net: nn.Module, optimizer: torch.optim.Optimizer, batch: torch.Tensor) -> None:
    optimizer.zero_grad()
    net(batch).square().mean().backward()
    optimizer.step()


def train(net: nn.Module, kind: type[torch.optim.Optimizer] = torch.optim.SGD, steps: int = STEPS) -> list[list[str]]:
    """What was read in each step."""
    optimizer, batch = kind(net.parameters(), lr=0.1), Far(torch.randn(4, 3))
    read = []
    for _ in range(BEFORE + steps):
        Far.reads.clear()
        turn(net, optimizer, batch)
        read.append(list(Far.reads))
    return read[BEFORE:]


def test_the_device_notes_when_it_is_read():
    far = Far(torch.ones(2))
    assert far.sum().item() == 2.0
    far.tolist()
    assert far.nonzero().shape == (2, 1)
    torch.zeros(2).copy_(far)
    assert [read.split(",")[0] for read in Far.reads] == ["_local_scalar_dense", "tolist", "nonzero", "copy_"]


def test_a_plain_step_reads_nothing():
    assert train(far_net()) == [[]] * STEPS


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_watching_reads_once_a_pass(kind):
    net = far_net()
    with gradscope.watch(net=net, budget=None) as scope:
        assert train(net, kind) == [[FETCH]] * STEPS
        run = scope.report().run
    assert run.tallies[0].measured == STEPS + BEFORE
    assert all(None not in event.norms.values() for event in run.events if isinstance(event, Backward))


def test_parameters_of_many_shapes_are_fetched_in_one_transfer():
    net = far_net((3, 3, 3, 3, 3, 40, 40, 2))
    with gradscope.watch(net=net, budget=None):
        assert train(net) == [[FETCH]] * STEPS


def test_passes_that_are_not_measured_read_nothing():
    net = far_net()
    with gradscope.watch(net=net, budget=None, every=1000) as scope:
        assert train(net)[1:] == [[]] * (STEPS - 1)
        assert scope.report().run.tallies[0].backwards == STEPS + BEFORE


def test_steps_that_accumulate_and_zero_in_place_read_once_a_pass():
    net = far_net()
    optimizer, batch = torch.optim.SGD(net.parameters(), lr=0.1), Far(torch.randn(4, 3))
    with gradscope.watch(net=net, budget=None):
        for _ in range(BEFORE):
            turn(net, optimizer, batch)
        for _ in range(STEPS):
            Far.reads.clear()
            optimizer.zero_grad(set_to_none=False)
            for _ in range(3):
                net(batch).square().mean().backward()
            optimizer.step()
            assert set(Far.reads) == {FETCH}
            assert len(Far.reads) <= 3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("fake", [True, False])
def test_a_device_without_numbers_is_watched_as_well(kind, fake):
    """On torch's meta and fake tensors each read of a number raises an error, and would end the watching."""
    with FakeTensorMode() if fake else torch.device("meta"):
        net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1), nn.Linear(1, 1))
        net[2].requires_grad_(False)
        optimizer = kind([p for p in net.parameters() if p.requires_grad], lr=0.1)
        with gradscope.watch(net=net, every=1, budget=None) as scope:
            for _ in range(4):
                turn(net, optimizer, torch.randn(4, 3))
            report = scope.report()

    assert (report.run.steps, report.run.backwards) == (4, 4)
    assert [(t.backwards, t.measured) for t in report.run.tallies.values() if t.backwards] == [(4, 0)] * 4
    assert report.findings == ()
