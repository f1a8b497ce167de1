"""A model is trained as a copy of it that no optimizer holds: told once, of the original, at the line that copies."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from gradscope.session import Session


class Net(nn.Module):
    """Begins with parameters that many others are equal to."""

    def __init__(self):
        super().__init__()
        self.norm, self.body, self.last = nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4)
        nn.init.zeros_(self.body.bias)

    def forward(self, x):
        return self.last(self.body(self.norm(x)))


def deep(net):
    return copy.deepcopy(net)  # here


def pickled(net):
    text = pickle.dumps(net)
    return pickle.loads(text)  # here


def in_a_message(net):
    text = pickle.dumps({"turn": 3, "other": nn.Linear(4, 4), "model": net})
    return pickle.loads(text)["model"]  # here


def saved(net):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)  # here


def loaded(net):
    other = Net()
    other.load_state_dict(net.state_dict())  # here
    return other


COPIES = pytest.mark.parametrize("made", [deep, pickled, in_a_message, saved, loaded])


def told(step, *models, turns=10):
    optimizer = torch.optim.SGD([p for model in models for p in model.parameters()], 0.01)
    with Session() as session:
        kept = [step(optimizer) for _ in range(turns)]
    assert kept
    return [f for f in session.report().findings if f.severity in ("error", "warning")]


def learn(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@COPIES
def test_a_copy_made_anew_in_each_turn(made):
    torch.manual_seed(0)
    net, head = Net(), nn.Linear(4, 1)

    def step(optimizer):
        worker = made(net)
        learn(optimizer, head(worker(torch.randn(8, 4))).square().mean())
        return worker

    (found,) = told(step, net, head)
    assert (found.code, found.model, found.cause) == ("GS101", "net", "copied")
    assert len(found.parameters) == 6
    assert found.location.text.endswith("# here")
    assert found.also == ()


@COPIES
def test_a_copy_made_once(made):
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with Session() as session:
        trained = made(net)
        for _ in range(6):
            learn(optimizer, trained(torch.randn(8, 4)).square().mean())
    (found,) = [f for f in session.report().findings if f.severity == "error"]
    assert (found.code, found.model, found.cause) == ("GS101", "net", "copied")
    assert "into trained, which gets the gradients in its place" in found.message
    assert "trained" in found.fix
    assert found.location.text.endswith("# here")


def test_what_the_copy_has_besides_is_told_as_well():
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with Session() as session:
        trained, forgotten = copy.deepcopy(net), nn.Linear(4, 1)
        for _ in range(6):
            learn(optimizer, forgotten(trained(torch.randn(8, 4))).square().mean())
    found = {f.model: f.code for f in session.report().findings if f.severity == "error"}
    assert found == {"net": "GS101", "forgotten": "GS501"}


def test_a_copy_that_takes_over_later_is_told_itself():
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with Session() as session:
        for _ in range(6):
            learn(optimizer, net(torch.randn(8, 4)).square().mean())
        best = copy.deepcopy(net)
        for _ in range(12):
            learn(optimizer, best(torch.randn(8, 4)).square().mean())
    found = {f.model for f in session.report().findings if f.severity == "error"}
    assert "best" in found


@COPIES
def test_gradients_that_are_handed_over_are_fine(made):
    torch.manual_seed(0)
    net = Net()

    def step(optimizer):
        worker = made(net)
        optimizer.zero_grad()
        worker(torch.randn(8, 4)).square().mean().backward()
        for mine, theirs in zip(net.parameters(), worker.parameters(), strict=True):
            mine.grad = theirs.grad
        optimizer.step()
        return worker

    assert told(step, net) == []


@COPIES
def test_a_copy_with_an_optimizer_of_its_own_or_kept_beside_it_is_fine(made):
    torch.manual_seed(0)
    net = Net()
    with Session() as session:
        first = torch.optim.SGD(net.parameters(), 0.01)
        for _ in range(4):
            learn(first, net(torch.randn(8, 4)).square().mean())
        other = made(net)
        kept = made(net)
        second = torch.optim.SGD(other.parameters(), 0.01)
        for _ in range(4):
            learn(second, other(torch.randn(8, 4)).square().mean())
        assert kept is not other
    assert [f for f in session.report().findings if f.severity in ("error", "warning")] == []


@pytest.mark.parametrize("made", [pickled, saved])
def test_a_frozen_copy_that_was_read_is_no_culprit(made):
    torch.manual_seed(0)
    net, predictor = Net(), nn.Linear(4, 4)
    optimizer = torch.optim.SGD([*net.parameters(), *predictor.parameters()], 0.01)
    with Session() as session:
        target = made(net).requires_grad_(False)
        for _ in range(6):
            x = torch.randn(8, 4)
            seen = net(x).detach()  # cut
            learn(optimizer, (predictor(seen) - target(x)).square().mean())
    (found,) = [f for f in session.report().findings if f.severity == "error"]
    assert (found.model, found.cause) == ("net", "detach")
    assert found.location.text.endswith("# cut")


def test_a_checkpoint_of_the_weights_brings_them_back():
    torch.manual_seed(0)
    net, head = Net(), nn.Linear(4, 1)

    def step(optimizer):
        file = io.BytesIO()
        torch.save({"net": net.state_dict(), "head": head}, file)
        file.seek(0)
        net.load_state_dict(torch.load(file, weights_only=False)["net"])
        learn(optimizer, head(net(torch.randn(8, 4))).square().mean())

    assert told(step, net, head) == []


def test_of_several_copies_the_last_is_named():
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with Session() as session:
        workers = [copy.deepcopy(net) for _ in range(3)]
        for turn in range(9):
            learn(optimizer, workers[turn % 3](torch.randn(8, 4)).square().mean())
    (found,) = [f for f in session.report().findings if f.severity == "error"]
    assert "into others (such as workers[2]), which get the gradients" in found.message
