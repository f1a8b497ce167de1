"""Of several cuts the one that makes a whole term of the loss dead is the culprit, not an intended stop-gradient."""

from __future__ import annotations

import torch
from torch import nn

import gradscope


def test_a_dead_term_of_the_loss_beats_a_stop_gradient_that_comes_first() -> None:
    """The critic reads detached states on purpose; the actor's own loss term is what was cut by mistake."""
    torch.manual_seed(0)
    actor, critic = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*actor.parameters(), *critic.parameters()], 0.01)

    def step() -> None:
        states = actor(torch.randn(8, 4)).tanh()
        value = critic(states.detach())  # meant
        target = states.sum(1, keepdim=True).detach()  # the mistake
        loss = -target.mean() + (value - target).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    (finding,) = gradscope.explain(step, models={"actor": actor, "critic": critic}).findings

    assert (finding.model, finding.cause) == ("actor", "detach")
    assert finding.location is not None
    assert "the mistake" in finding.location.text
