"""A factor that is a difference of equals: told where it is taken, such as an advantage over a lone baseline."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope


def along_the_wrong_axis(rewards):
    rewards = rewards.view(-1, 1, 4)
    return (rewards - rewards.mean(dim=1, keepdim=True)).flatten()  # the difference


def of_each_alone(rewards):
    groups = rewards.split(1)
    return torch.cat([group - group.mean() for group in groups])  # the difference


def within_groups(rewards):
    rewards = rewards.view(-1, 4)
    return (rewards - rewards.mean(dim=1, keepdim=True)).flatten()


def clipped(ratio, advantage):
    return torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)


def plain(ratio, advantage):
    return ratio * advantage


def findings_of(advantage_of, surrogate):
    torch.manual_seed(0)
    policy = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)

    def step():
        choice = torch.distributions.Categorical(logits=policy(torch.randn(8, 3)))
        action = choice.sample()
        rewards = (action == 1).float() + torch.rand(8)
        logp = choice.log_prob(action)
        optimizer.zero_grad()
        (-surrogate(torch.exp(logp - logp.detach()), advantage_of(rewards)).mean()).backward()
        optimizer.step()

    return gradscope.explain(step, repeat=8, models={"policy": policy}).findings


@pytest.mark.parametrize("surrogate", [plain, clipped])
@pytest.mark.parametrize("advantage_of", [along_the_wrong_axis, of_each_alone])
def test_the_line_of_the_difference_is_told(advantage_of, surrogate):
    (finding,) = findings_of(advantage_of, surrogate)

    assert (finding.code, finding.cause) == ("GS201", "zero_multiplier")
    assert "# the difference" in finding.location.text
    assert "a difference that is always zero" in finding.message


@pytest.mark.parametrize("surrogate", [plain, clipped])
def test_an_advantage_within_groups_is_sound(surrogate):
    assert not findings_of(within_groups, surrogate)
