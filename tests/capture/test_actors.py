"""What an actor does is judged by a critic, and part of what it learns from: only the former is the actor's own way."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.nn import functional

from gradscope.session import Session


def drawn(law):
    return law.rsample()


def sampled(law):
    return law.sample()  # here


def detached(law):
    return law.rsample().detach()  # here


class Actor(nn.Module):
    def __init__(self, choose):
        super().__init__()
        self.mean, self.spread = nn.Linear(3, 2), nn.Linear(3, 2)
        self.choose = choose

    def forward(self, seen):
        law = Normal(self.mean(seen), self.spread(seen).exp())
        action = self.choose(law)
        return action.tanh(), law.log_prob(action).sum(-1)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, seen, action):
        return self.net(torch.cat([seen, action], -1)).squeeze(-1)


def in_turns(actor, critic):
    """A step function of two losses and the two optimizers that they belong to."""
    first, second = torch.optim.SGD(critic.parameters(), 0.01), torch.optim.SGD(actor.parameters(), 0.01)

    def step(error, judged):
        first.zero_grad()
        error().backward()
        first.step()
        second.zero_grad()
        judged().backward()
        second.step()

    return step


def at_once(actor, critic):
    """A step function of the sum of two losses."""
    optimizer = torch.optim.SGD([*actor.parameters(), *critic.parameters()], 0.01)

    def step(error, judged):
        optimizer.zero_grad()
        (error() + judged()).backward()
        optimizer.step()

    return step


def told(choose, schedule):
    torch.manual_seed(0)
    actor, critic = Actor(choose), Critic()
    with Session() as session:
        target = copy.deepcopy(critic).requires_grad_(False)
        step = schedule(actor, critic)
        for _ in range(6):
            seen, done, reward, following = torch.randn(8, 3), torch.rand(8, 2), torch.randn(8), torch.randn(8, 3)

            def error(seen=seen, done=done, reward=reward, following=following):
                with torch.no_grad():
                    action, likelihood = actor(following)
                    worth = reward + 0.9 * (target(following, action) - 0.1 * likelihood)
                return functional.mse_loss(critic(seen, done), worth)

            step(error, lambda seen=seen: -critic(seen, actor(seen)[0]).mean())
    return [f for f in session.report().findings if f.severity in ("error", "warning")]


@pytest.mark.parametrize("schedule", [in_turns, at_once])
@pytest.mark.parametrize("choose", [sampled, detached])
def test_what_cuts_the_action_is_told_and_not_the_target_of_the_critic(choose, schedule):
    (found,) = told(choose, schedule)
    assert found.model == "actor"
    assert found.location.text.endswith("# here")


@pytest.mark.parametrize("schedule", [in_turns, at_once])
def test_an_actor_that_learns_is_silent(schedule):
    assert told(drawn, schedule) == []


def test_one_place_is_meant_for_one_model_and_a_mistake_for_another():
    """What both networks compute there is a target of a third; of one it is all that is used."""
    torch.manual_seed(0)
    encoder, generator, critic = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([p for model in (encoder, generator, critic) for p in model.parameters()], 0.01)
    with Session() as session:
        for _ in range(6):
            x = torch.randn(8, 4)
            with torch.no_grad():  # both
                code, worth = encoder(x), critic(generator(x))
            made = generator(code).detach()  # here
            optimizer.zero_grad()
            (critic(made).mean() + (critic(x) - worth).square().mean()).backward()
            optimizer.step()
    lines = {f.model: f.location.text for f in session.report().findings if f.severity == "error"}
    assert lines.keys() == {"encoder", "generator"}
    assert lines["encoder"].endswith("# both")
    assert lines["generator"].endswith("# here")
