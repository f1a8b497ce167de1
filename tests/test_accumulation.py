"""Gradients of several passes in one step: meant where they are of one loss, wrong where they are of another."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope
from gradscope.session import Session


def nets():
    torch.manual_seed(0)
    return nn.Linear(3, 3), nn.Linear(3, 1)


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.01)


def gan(generator, critic, *, clears, turns=12, accumulate=3):
    """The generator's pass reaches the critic, too, which clears that before its own pass, or does not."""
    slow, fast = sgd(generator), sgd(critic)
    for turn in range(turns):
        fake = generator(torch.randn(8, 3))
        if clears:
            fast.zero_grad()
        (critic(torch.randn(8, 3)) - critic(fake.detach())).square().mean().backward()
        fast.step()
        if not clears:
            fast.zero_grad()
        (critic(fake) / accumulate).square().mean().backward()
        if (turn + 1) % accumulate == 0:
            slow.step()
            slow.zero_grad()


def slow_backbone(backbone, head, *, head_first, accumulate):
    """One loss, whose gradient the head takes at once and the backbone gathers."""
    slow, fast = sgd(backbone), sgd(head)

    def step_slow(turn):
        if turn % accumulate == 0:
            slow.step()
            slow.zero_grad()

    for turn in range(1, 25):
        head(backbone(torch.randn(8, 3)).tanh()).square().mean().backward()
        if not head_first:
            step_slow(turn)
        fast.step()
        fast.zero_grad()
        if head_first:
            step_slow(turn)


def by_turns(first, second):
    """Two losses on one line: each optimizer clears after its step, and meanwhile the other's pass comes."""
    optimizers = sgd(first), sgd(second)
    for _ in range(12):
        for target, optimizer in enumerate(optimizers):
            (second(first(torch.randn(8, 3)).tanh()) - target).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()


def told(train, **how):
    answers = []
    with Session() as session:
        train(*nets(), **how)
    answers.append(session.report())
    one, other = nets()
    with gradscope.watch(one=one, other=other) as scope:
        train(one, other, **how)
    answers.append(scope.report())
    return [sorted((f.code, f.model) for f in report.findings) for report in answers]


def test_the_passes_of_a_generator_that_reach_a_critic_which_clears_them():
    assert told(gan, clears=True) == [[], []]


def test_the_passes_of_a_generator_that_stay_in_the_critic():
    assert told(gan, clears=False, accumulate=1) == [[("GS506", "critic")], [("GS506", "other")]]


@pytest.mark.parametrize("head_first", [True, False])
@pytest.mark.parametrize("accumulate", [2, 4])
def test_one_loss_applied_at_once_and_gathered(head_first, accumulate):
    assert told(slow_backbone, head_first=head_first, accumulate=accumulate) == [[], []]


def test_two_losses_on_one_line():
    assert told(by_turns) == [[("GS506", "first"), ("GS506", "second")], [("GS506", "one"), ("GS506", "other")]]
