"""Updates that are undone after every step, and all that only looks like it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import gradscope
from gradscope.session import Session


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.last = nn.Linear(3, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.last(self.body(x).tanh())


def turn(net, optimizer):
    optimizer.zero_grad()
    net(torch.randn(8, 3)).sub(1).square().mean().backward()
    optimizer.step()


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def mix(net, other, share):
    """Named parameters, as people do it: with gradients on."""
    mine, theirs = dict(net.named_parameters()), dict(other.named_parameters())
    return {name: share * mine[name].clone() + (1 - share) * theirs[name].clone() for name in mine}


def restored(net, turns):
    optimizer, best = torch.optim.Adam(net.parameters(), lr=0.01), state(net)
    for _ in turns:
        turn(net, optimizer)
        net.load_state_dict(best)  # here


def mixed(net, turns):
    optimizer, target = torch.optim.Adam(net.parameters(), lr=0.01), copy.deepcopy(net).requires_grad_(False)
    for _ in turns:
        turn(net, optimizer)
        net.load_state_dict(mix(net, target, 0.005))  # here


def moved_in_place(net, turns):
    optimizer, target = torch.optim.Adam(net.parameters(), lr=0.01), copy.deepcopy(net).requires_grad_(False)
    for _ in turns:
        turn(net, optimizer)
        with torch.no_grad():
            for mine, theirs in zip(net.parameters(), target.parameters(), strict=True):
                mine.mul_(0.0).add_(theirs)  # here


def told(train, how):
    torch.manual_seed(0)
    net = Critic()
    if how == "run":
        with Session() as session:
            train(net, range(70))
        report = session.report()
    else:
        with gradscope.watch(net=net, budget=None) as scope:
            train(net, scope.steps(range(70)) if how == "marked" else range(70))
        report = scope.report()
    return [f for f in report.findings if f.severity in ("error", "warning")]


@pytest.mark.parametrize("how", ["run", "marked"])
@pytest.mark.parametrize("train", [restored, mixed, moved_in_place])
def test_what_undoes_each_update_is_told_with_its_line(train, how):
    (finding,) = told(train, how)
    assert (finding.code, finding.model, finding.cause) == ("GS508", "net", "overwritten_after_step")
    assert finding.location.text.endswith("# here")
    assert len(finding.parameters) == 4


def test_what_is_put_back_out_of_sight_is_told_without_a_line():
    (finding,) = told(restored, "unmarked")
    assert (finding.code, finding.cause, finding.location) == ("GS508", "overwritten_after_step", None)
    assert finding.parameters == ("body.weight", "body.bias", "last.weight"), "a single number may rest on a bound"


def half_averaged(net, turns):
    """A moving average written into the model, of which half an update survives."""
    optimizer, average = torch.optim.Adam(net.parameters(), lr=0.01), copy.deepcopy(net).requires_grad_(False)
    for _ in turns:
        turn(net, optimizer)
        net.load_state_dict(mix(net, average, 0.5))
        average.load_state_dict(net.state_dict())


def soft_target(net, turns):
    optimizer, target = torch.optim.Adam(net.parameters(), lr=0.01), copy.deepcopy(net).requires_grad_(False)
    for _ in turns:
        data = torch.randn(8, 3)
        with torch.no_grad():
            aim = 1 + 0.9 * target(data)
        optimizer.zero_grad()
        (net(data) - aim).square().mean().backward()
        optimizer.step()
        target.load_state_dict(mix(net, target, 0.01))


def clipped(net, turns):
    optimizer = torch.optim.RMSprop(net.parameters(), lr=0.05)
    for p in net.parameters():
        p.data.fill_(0.01)
    for _ in turns:
        optimizer.zero_grad()
        net(torch.rand(8, 3)).mean().neg().backward()  # everything is pushed to a bound
        optimizer.step()
        for p in net.parameters():
            p.data.clamp_(-0.01, 0.01)


def normed(net, turns):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in turns:
        optimizer.zero_grad()
        net(torch.ones(8, 3)).mean().neg().backward()
        optimizer.step()
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(1 / p.norm())


def looked_ahead(net, turns):
    optimizer, slow = torch.optim.SGD(net.parameters(), lr=0.01), state(net)
    for number in turns:
        turn(net, optimizer)
        if number % 5 == 4:
            slow = {name: slow[name] + 0.8 * (value - slow[name]) for name, value in state(net).items()}
            net.load_state_dict(slow)


def unrolled(net, turns):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in turns:
        turn(net, optimizer)
        kept = state(net)
        turn(net, optimizer)
        net.load_state_dict(kept)


def averaged_over_clients(net, turns):
    optimizer, start, gathered = torch.optim.SGD(net.parameters(), lr=0.01), state(net), []
    for _ in turns:
        turn(net, optimizer)
        gathered.append(state(net))
        if len(gathered) == 20:
            start = {name: sum(client[name] for client in gathered) / 20 for name in start}
            gathered.clear()
        net.load_state_dict(start)


def tried_and_moved(net, turns):
    inner, outer = torch.optim.SGD(net.parameters(), lr=1.0), torch.optim.Adam(net.parameters(), lr=1e-5)
    for _ in turns:
        before = state(net)
        turn(net, inner)
        outer.zero_grad()
        net(torch.randn(8, 3)).sub(1).square().mean().backward()
        net.load_state_dict(before)
        outer.step()


def warmed_up(net, turns):
    optimizer, start = torch.optim.SGD(net.parameters(), lr=0.01), state(net)
    for number in turns:
        turn(net, optimizer)
        if number < 4:
            net.load_state_dict(start)


def rejected(net, turns):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for number in turns:
        before = state(net)
        turn(net, optimizer)
        if number % 5 in (1, 3):
            net.load_state_dict(before)


def swapped(net, turns):
    """The average is put in to evaluate, and the weights back."""
    optimizer, average = torch.optim.SGD(net.parameters(), lr=0.01), state(net)
    for _ in turns:
        turn(net, optimizer)
        kept = state(net)
        net.load_state_dict(average)
        net.load_state_dict(kept)


HEALTHY = [half_averaged, soft_target, clipped, normed, looked_ahead, unrolled, averaged_over_clients, tried_and_moved,
           warmed_up, rejected, swapped]  # fmt: skip


@pytest.mark.parametrize("how", ["run", "marked", "unmarked"])
@pytest.mark.parametrize("train", HEALTHY)
def test_what_leaves_some_of_the_updates_is_right(train, how):
    assert [(f.code, f.message) for f in told(train, how) if f.code in ("GS103", "GS508")] == []
