"""Models that no optimizer holds: forgotten, or what an image is optimised through, or a copy that took a place."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gradscope.session import Session


def told(held) -> list[tuple[str, str, str]]:
    """What is said where the optimizer holds the image, and the classifier or not."""
    torch.manual_seed(0)
    classifier, prior = nn.Linear(3, 2), nn.Linear(3, 3)
    image = torch.zeros(4, 3, requires_grad=True)
    optimizer = torch.optim.SGD([image, *held(classifier)], lr=0.01)
    with Session() as session:
        for _ in range(8):
            optimizer.zero_grad()
            classifier(prior(image)).square().mean().backward()
            optimizer.step()
        return [(f.model, f.code, f.severity) for f in session.report().findings]


def test_what_an_image_is_optimised_through_is_told_as_info():
    assert sorted(told(lambda _: ())) == [("classifier", "GS501", "info"), ("prior", "GS501", "info")]


def test_beside_a_model_that_is_trained_the_other_was_forgotten():
    assert told(lambda model: model.parameters()) == [("prior", "GS501", "error")]


@pytest.mark.parametrize("begins", [0, 4])
def test_a_copy_that_takes_the_place_of_the_original(begins):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with Session() as session:
        average = copy.deepcopy(model)
        for turn in range(12):
            optimizer.zero_grad()
            (average if turn >= begins else model)(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
        (finding,) = [f for f in session.report().findings if f.code == ("GS501" if begins else "GS101")]
    assert (finding.model, finding.cause, finding.severity) == ("average" if begins else "model", "copied", "error")
    assert ("put the original back" if begins else "build the optimizer from the copy, average") in finding.fix


@pytest.mark.parametrize("wrong_first", [True, False])
def test_of_two_optimizers_that_hold_the_critic_the_one_is_blamed_that_steps_after_the_generator_got_its_gradient(
    wrong_first,
):
    torch.manual_seed(0)
    generator, critic = nn.Linear(3, 2), nn.Linear(2, 1)
    built = {}
    with Session() as session:
        for name in ("g", "d") if wrong_first else ("d", "g"):
            if name == "g":
                built[name] = torch.optim.SGD(critic.parameters(), 0.01)  # the mistake
            else:
                built[name] = torch.optim.SGD(critic.parameters(), 0.02)
        for _ in range(8):
            fake = generator(torch.randn(4, 3))
            built["d"].zero_grad()
            (critic(fake.detach()).mean() - critic(torch.randn(4, 2)).mean()).backward()
            built["d"].step()
            built["g"].zero_grad()
            critic(fake).mean().neg().backward()
            built["g"].step()
        (finding,) = [f for f in session.report().findings if f.code == "GS501"]
    assert finding.model == "generator"
    assert "the mistake" in finding.location.text


@pytest.mark.parametrize("own_group", [True, False])
def test_what_was_frozen_for_a_phase_and_is_a_group_of_the_next_is_told(own_group):
    torch.manual_seed(0)
    encoder, probe = nn.Linear(3, 4), nn.Linear(4, 1)

    def train(optimizer):
        for _ in range(8):
            optimizer.zero_grad()
            probe(encoder(torch.randn(4, 3)).tanh()).square().mean().backward()
            optimizer.step()

    with Session() as session:
        train(torch.optim.SGD([*encoder.parameters(), *probe.parameters()], 0.01))
        encoder.requires_grad_(False)
        train(torch.optim.SGD(probe.parameters(), 0.01))
        groups = [{"params": encoder.parameters(), "lr": 1e-3}, {"params": probe.parameters()}]
        train(torch.optim.SGD(groups if own_group else [*encoder.parameters(), *probe.parameters()], 0.01))
        found = [(f.code, f.severity, f.location.text) for f in session.report().findings if f.code == "GS103"]
    assert found == ([("GS103", "warning", "encoder.requires_grad_(False)")] if own_group else [])


@pytest.mark.parametrize("sync", ["ema", "load", "none"])
def test_a_frozen_copy_that_is_called_in_place_of_the_model(sync):
    torch.manual_seed(0)
    online, head = nn.Linear(3, 4), nn.Linear(4, 1)
    target = copy.deepcopy(online).requires_grad_(False)
    optimizer = torch.optim.SGD([*online.parameters(), *head.parameters()], 0.01)
    with Session() as session:
        for _ in range(8):
            x = torch.randn(6, 3)
            with torch.no_grad():
                online(x).argmax(1)
            loss = (head(target(x)) - target(x).detach().mean()).square().mean()  # the mistake
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if sync == "load":
                target.load_state_dict(online.state_dict())
            for slow, fast in zip(target.parameters(), online.parameters(), strict=True) if sync == "ema" else ():
                with torch.no_grad():
                    slow.mul_(0.9).add_(fast, alpha=0.1)
        (finding,) = [f for f in session.report().findings if f.model == "online"]
    assert finding.code == "GS101"
    if sync != "none":  # without it nothing says that the one was meant for the other
        assert finding.location is not None
        assert "the mistake" in finding.location.text
        assert finding.fix == "call online instead of target"


@pytest.mark.parametrize("rates", [(0.0, 1e-4), (1e-4, 0.0)])
def test_a_rate_that_is_raised_later_trains_and_one_that_falls_to_nothing_does_not(rates):
    net = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=rates[0])
    with Session() as session:
        for turn in range(20):
            optimizer.param_groups[0]["lr"] = rates[turn >= 10]
            optimizer.zero_grad()
            net(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
        found = [f.code for f in session.report().findings if f.code == "GS504"]
    assert found == (["GS504"] if rates[1] == 0.0 else [])


@pytest.mark.parametrize("looks", ["norm", "data", "average"])
def test_a_module_whose_weights_are_only_looked_at_is_not_used(looks):
    torch.manual_seed(0)
    net, idle = nn.Linear(3, 1), nn.Linear(3, 1)
    average = [p.detach().clone() for p in idle.parameters()]
    optimizer = torch.optim.SGD([*net.parameters(), *idle.parameters()], 0.01)
    with Session() as session:
        for _ in range(6):
            optimizer.zero_grad()
            net(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
            with torch.no_grad():
                for kept, p in zip(average, idle.parameters(), strict=True):
                    if looks == "average":
                        kept.lerp_(p, 0.1)
                    else:
                        (p if looks == "norm" else p.data).norm().item()
        found = [(f.code, f.model, f.cause) for f in session.report().findings]
    assert found == [("GS102", "idle", "unused_module")]
