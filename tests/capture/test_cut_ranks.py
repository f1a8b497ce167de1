"""Of several cuts the one that makes a whole term of the loss dead is the culprit, not an intended stop-gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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


def _explained(models: dict[str, nn.Module], loss: Callable[[], torch.Tensor]) -> gradscope.Finding:
    optimizer = torch.optim.SGD([p for model in models.values() for p in model.parameters()], 0.01)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    (finding,) = gradscope.explain(step, models=models).findings
    assert finding.location is not None
    return finding


def _stacked(values: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(values).detach()  # the mistake


@pytest.mark.filterwarnings("ignore:Converting a tensor")
@pytest.mark.parametrize("rebuild", [torch.FloatTensor, torch.Tensor, _stacked])
def test_a_target_comes_after_what_cut_the_prediction(rebuild: Callable[[list[torch.Tensor]], torch.Tensor]) -> None:
    torch.manual_seed(0)
    agent, mixer = nn.Linear(4, 1), nn.Linear(3, 1)

    def loss() -> torch.Tensor:
        values = [agent(torch.randn(4))[0] for _ in range(3)]
        mixed = mixer(rebuild(values))  # the mistake
        with torch.no_grad():
            target = mixer(torch.stack([agent(torch.randn(4))[0] for _ in range(3)]))
        return (mixed - target).pow(2).mean()

    finding = _explained({"agent": agent, "mixer": mixer}, loss)

    assert finding.model == "agent"
    assert finding.cause in ("new_tensor", "detach")
    assert finding.location is not None
    assert "the mistake" in finding.location.text


@pytest.mark.parametrize("as_bound", [torch.Tensor.long, int, torch.Tensor.int])
def test_a_position_that_is_cut_out_is_no_unused_output(as_bound: Callable[[torch.Tensor], int]) -> None:
    torch.manual_seed(0)
    pointer, head = nn.Linear(4, 1), nn.Linear(3, 1)

    def loss() -> torch.Tensor:
        signal = torch.randn(10)
        begin = torch.sigmoid(pointer(signal[:4]))[0] * 6
        first = as_bound(begin)  # the mistake
        window = signal[first : first + 3]
        return head(window).pow(2).mean()

    finding = _explained({"pointer": pointer, "head": head}, loss)

    assert (finding.model, finding.cause) == ("pointer", "non_differentiable")
    assert finding.location is not None
    assert "the mistake" in finding.location.text


def test_a_choice_comes_before_the_target_it_was_compared_with() -> None:
    """A quantiser without straight-through estimator: the codes are pulled towards detached features on purpose."""
    torch.manual_seed(0)
    encoder, book, decoder = nn.Linear(4, 3), nn.Embedding(8, 3), nn.Linear(3, 4)
    x = torch.randn(16, 4)

    def loss() -> torch.Tensor:
        z = encoder(x)
        index = torch.cdist(z, book.weight).argmin(-1)  # the mistake
        code = book(index)
        return (decoder(code) - x).square().mean() + nn.functional.mse_loss(code, z.detach())

    finding = _explained({"encoder": encoder, "book": book, "decoder": decoder}, loss)

    assert (finding.model, finding.cause) == ("encoder", "non_differentiable")
    assert finding.location is not None
    assert "the mistake" in finding.location.text
    assert any("z.detach()" in place.text for place in finding.also)
