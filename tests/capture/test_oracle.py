"""Every captured number against a plain computation of the same thing, over loops of different kinds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.backward import walk

Norms = dict[str, float]


@dataclass
class Truth:
    """What a loop notes of itself, by hand."""

    models: dict[str, nn.Module]
    backwards: list[Norms] = field(default_factory=list)
    connected: list[set[str]] = field(default_factory=list)
    applied: list[Norms] = field(default_factory=list)
    ratios: list[Norms] = field(default_factory=list)

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        for name, model in self.models.items():
            for fqn, parameter in model.named_parameters():
                yield f"{name}.{fqn}", parameter

    def norms(self) -> Norms:
        return {n: torch.linalg.vector_norm(p.grad.double()).item() for n, p in self.parameters() if p.grad is not None}

    def backward(self, loss: torch.Tensor, scale: float = 1.0, **kwargs) -> None:
        parameters = dict(self.parameters())
        wanted = [p for p in parameters.values() if p.requires_grad]
        grads = torch.autograd.grad(loss * scale, wanted, allow_unused=True, retain_graph=True)
        reached = {id(p) for p, g in zip(wanted, grads, strict=True) if g is not None}
        self.connected.append({n for n, p in parameters.items() if id(p) in reached})
        (loss * scale).backward(**kwargs)
        self.backwards.append({n: v for n, v in self.norms().items() if n in self.connected[-1]})

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        mine = {n: p for n, p in self.parameters() if id(p) in held}
        self.applied.append({n: v for n, v in self.norms().items() if n in mine})
        before = {n: p.detach().clone().double() for n, p in mine.items()}
        optimizer.step()
        self.ratios.append(
            {n: ((mine[n] - before[n]).norm() / before[n].norm()).item() for n in self.applied[-1] if before[n].norm()}
        )


def supervised(truth: Truth) -> None:
    optimizer = torch.optim.AdamW([p for _, p in truth.parameters()], lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        truth.backward(truth.models["b"](truth.models["a"](torch.randn(5, 4))).pow(2).mean())
        truth.step(optimizer)


def detached(truth: Truth) -> None:
    optimizer = torch.optim.SGD([p for _, p in truth.parameters()], lr=1e-2, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad(set_to_none=False)
        truth.backward(truth.models["b"](truth.models["a"](torch.randn(5, 4)).detach()).pow(2).mean())
        truth.step(optimizer)


def accumulation(truth: Truth) -> None:
    optimizer = torch.optim.SGD([p for _, p in truth.parameters()], lr=1e-2)
    for _ in range(2):
        for _ in range(3):
            truth.backward(truth.models["b"](truth.models["a"](torch.randn(5, 4))).pow(2).mean() / 3)
        truth.step(optimizer)
        optimizer.zero_grad()


def clipped(truth: Truth) -> None:
    optimizer = torch.optim.Adam([p for _, p in truth.parameters()], lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        truth.backward(truth.models["b"](truth.models["a"](torch.randn(5, 4))).pow(2).sum() * 100)
        nn.utils.clip_grad_norm_([p for _, p in truth.parameters()], 0.5)
        truth.step(optimizer)


def adversarial(truth: Truth) -> None:
    a, b = truth.models["a"], truth.models["b"]
    first = torch.optim.SGD(a.parameters(), lr=1e-2)
    second = torch.optim.SGD(b.parameters(), lr=1e-2)
    for _ in range(3):
        second.zero_grad()
        truth.backward(b(a(torch.randn(5, 4)).detach()).mean())
        truth.step(second)
        first.zero_grad()
        truth.backward(-b(a(torch.randn(5, 4))).mean())
        truth.step(first)


def scaled(truth: Truth) -> None:
    optimizer = torch.optim.SGD([p for _, p in truth.parameters()], lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        truth.backward(truth.models["b"](truth.models["a"](torch.randn(5, 4))).pow(2).mean(), scale=1024.0)
        for _, p in truth.parameters():
            p.grad /= 1024.0
        truth.step(optimizer)


def two_losses(truth: Truth) -> None:
    optimizer = torch.optim.SGD([p for _, p in truth.parameters()], lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        h = truth.models["a"](torch.randn(5, 4))
        truth.backward(h.pow(2).mean(), retain_graph=True)
        truth.backward(truth.models["b"](h).pow(2).mean())
        truth.step(optimizer)


def idle_branch(truth: Truth) -> None:
    optimizer = torch.optim.SGD([p for _, p in truth.parameters()], lr=1e-2)
    for turn in range(3):
        optimizer.zero_grad()
        h = truth.models["a"](torch.randn(5, 4))
        truth.backward((truth.models["b"](h) if turn % 2 else h).pow(2).mean())
        truth.step(optimizer)


LOOPS = [supervised, detached, accumulation, clipped, adversarial, scaled, two_losses, idle_branch]


def by_name(run, numbers) -> Norms:
    return {run.parameters[uid].name: value for uid, value in numbers.items()}


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_numbers_are_those_of_plain_autograd(loop: Callable[[Truth], None], traced: bool):
    truth = Truth({"a": nn.Linear(4, 4), "b": nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))})
    with gradscope.watch(truth.models) as scope:
        if traced:
            scope._capture.start_tracing()
        loop(truth)
        if traced:
            scope._capture.stop_tracing()
        run = scope.report().run
    assert [by_name(run, e.norms) for e in run.backward_events] == [pytest.approx(n) for n in truth.backwards]
    if traced:
        found = [{run.parameters[uid].name for uid in e.connected} for e in run.backward_events]
        assert found == truth.connected
    assert len(run.step_events) == len(truth.applied)
    for event, applied, ratios in zip(run.step_events, truth.applied, truth.ratios, strict=True):
        assert by_name(run, event.norms) == pytest.approx(applied)
        assert by_name(run, event.ratios) == pytest.approx(ratios, rel=1e-4)
    check_tallies(run, truth)


def check_tallies(run, truth: Truth) -> None:
    for parameter in run.parameters.values():
        tally = run.tallies[parameter.uid]
        delivered = [n[parameter.name] for n in truth.backwards if parameter.name in n]
        assert tally.backwards == tally.measured == len(delivered)
        assert tally.zero == sum(norm == 0 for norm in delivered)
        if delivered:
            assert tally.norm_max == pytest.approx(max(delivered))
            assert tally.norm_last == pytest.approx(delivered[-1])
        held = [o.uid for o in run.optimizers if parameter.uid in o.parameters]
        steps = [t for e, t in zip(run.step_events, truth.applied, strict=True) if e.optimizer in held]
        assert tally.steps == tally.trainable_steps == len(steps)
        assert tally.steps_none == sum(parameter.name not in applied for applied in steps)


def test_long_runs_count_the_same_as_short_ones():
    """Tallies of many passes are counted in blocks; a pass of zeros or NaN in between must not be lost."""
    weights = [nn.Parameter(torch.ones(3)) for _ in range(3)]
    optimizer = torch.optim.SGD(weights, lr=0.0)
    expected = [{"backwards": 0, "zero": 0, "nonfinite": 0, "zero_streak": 0} for _ in weights]
    with gradscope.watch(w=weights) as scope:
        for turn in range(300):
            optimizer.zero_grad()
            factors = [1.0 + turn, 0.0 if turn % 7 else 1.0, float("nan") if turn == 151 else 2.0]
            used = range(3) if turn % 50 else range(2)
            sum((weights[i] * factors[i]).sum() for i in used).backward()
            optimizer.step()
            for i in used:
                expected[i]["backwards"] += 1
                expected[i]["zero"] += factors[i] == 0.0
                expected[i]["nonfinite"] += factors[i] != factors[i]
                expected[i]["zero_streak"] = expected[i]["zero_streak"] + 1 if factors[i] == 0.0 else 0
        run = scope.report().run
    for uid, wanted in enumerate(expected):
        tally = run.tallies[uid]
        assert {name: getattr(tally, name) for name in wanted} == wanted
        assert tally.steps == 300
    assert run.tallies[2].steps_none == 6
    assert run.tallies[2].first_nonfinite == 151
    assert run.tallies[2].stepped_nonfinite == 1
    assert run.tallies[0].norm_max == pytest.approx(300 * 3**0.5)


def test_the_walk_finds_what_autograd_finds():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    x = torch.randn(2, 4)
    loss = a(x).sum() + b(x).detach().sum() + copy.deepcopy(b)(x).sum() * 0
    reached = {id(variable) for variable in walk([loss]).leaves.values()}
    assert {id(p) for p in a.parameters()} <= reached
    assert not reached & {id(p) for p in b.parameters()}
