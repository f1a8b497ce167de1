"""Loops that did the same for long are looked at less closely, and say the same: also when they do something else."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import gradients, passing
from gradscope.records import Backward, Clear, OptimizerStep, Write

NEVER = 10**9
LONG = 60
"""Steps after which all that is skipped in a usual loop is skipped."""


class Loop:
    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.data = torch.randn(3, 4)

    def backward(self, **options) -> None:
        self.model(self.data).square().sum().backward(**options)

    def usual(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.backward()
            self.optimizer.step()


def clipped(loop):
    for _ in range(3):
        loop.optimizer.zero_grad()
        loop.backward()
        nn.utils.clip_grad_norm_(loop.model.parameters(), 1e-3)
        loop.optimizer.step()


def accumulated(loop):
    for _ in range(3):
        loop.optimizer.zero_grad()
        loop.backward()
        loop.backward()
        loop.optimizer.step()


def replaced_by_hand(loop):
    for _ in range(3):
        loop.optimizer.zero_grad()
        loop.backward()
        for p in loop.model.parameters():
            p.grad = p.grad * 0.5
        loop.optimizer.step()


def part_of_it_frozen(loop):
    loop.model[0].requires_grad_(False)
    loop.usual(3)
    loop.model[0].requires_grad_(True)
    loop.usual(3)


def steps_without_a_pass(loop):
    loop.optimizer.step()
    loop.optimizer.zero_grad()
    loop.optimizer.step()
    loop.usual(2)


def passes_without_a_step(loop):
    for _ in range(3):
        loop.optimizer.zero_grad()
        loop.backward()


def _clear(parameter):
    parameter.grad = None


def cleared_by_a_hook(loop):
    handles = [
        p.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None)) for p in loop.model.parameters()
    ]
    loop.usual(3)
    for handle in handles:
        handle.remove()


def graph_of_the_backward(loop):
    loop.optimizer.zero_grad()
    loop.backward(create_graph=True)
    loop.optimizer.step()
    loop.usual(2)
    loop.optimizer.zero_grad()


def zeroed_in_place(loop):
    for _ in range(4):
        loop.optimizer.zero_grad(set_to_none=False)
        loop.backward()
        loop.optimizer.step()


def never_cleared(loop):
    for _ in range(4):
        loop.backward()
        loop.optimizer.step()


CLEARED = (
    clipped, accumulated, replaced_by_hand, part_of_it_frozen, steps_without_a_pass, passes_without_a_step,
    cleared_by_a_hook,
)  # fmt: skip
KEPT = (zeroed_in_place, never_cleared, graph_of_the_backward)


def told(then):
    """What is said of a loop that goes on otherwise after a while."""
    loop = Loop()
    with gradscope.watch(model=loop.model, every=NEVER, budget=None) as scope:
        loop.usual(LONG)
        then(loop)
        loop.usual(3)
        run = scope.report().run
    kinds = (Backward, OptimizerStep, Clear, Write)
    events = [event for event in run.events if isinstance(event, kinds)]
    return [_said(event) for event in events], run.tallies


def _said(event):
    if isinstance(event, Backward):
        return "backward", event.step, event.index, frozenset(event.norms), event.added
    if isinstance(event, OptimizerStep):
        return "step", event.step, frozenset(event.norms)
    if isinstance(event, Clear):
        return "clear", event.step, event.parameters, event.to_none
    return "write", event.step, event.parameters, event.by


@pytest.fixture
def closely(monkeypatch):
    def look():
        monkeypatch.setattr(gradients, "CALM", NEVER)
        monkeypatch.setattr(passing, "CALM", NEVER)
        monkeypatch.setattr(passing, "ALIKE", NEVER)

    return look


BY_IDS, BY_REFERENCES = 1, NEVER


@pytest.mark.parametrize(
    ("then", "many"),
    [(then, BY_REFERENCES) for then in (*CLEARED, *KEPT)] + [(then, BY_IDS) for then in CLEARED],
    ids=lambda given: given.__name__ if callable(given) else "by ids" if given == BY_IDS else "by references",
)
@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
def test_the_same_is_said_as_by_looking_closely(then, many, closely, monkeypatch):
    monkeypatch.setattr(passing, "MANY", many)
    said = told(then)
    closely()
    assert said == told(then)


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
@pytest.mark.parametrize(
    ("then", "lost"), [(zeroed_in_place, "clear"), (never_cleared, "backward"), (graph_of_the_backward, "clear")]
)
def test_where_gradients_are_known_by_ids_the_first_that_are_kept_say_one_thing_less(then, lost, closely, monkeypatch):
    """That it was zeroed, added to, or cleared: what was written to it before is not known. All counts are the same."""
    monkeypatch.setattr(passing, "MANY", BY_IDS)
    events, tallies = told(then)
    closely()
    expected, counted = told(then)
    assert [event[:2] for event in (Counter(expected) - Counter(events)).elements()] == [(lost, LONG - 1)]
    assert tallies == counted
