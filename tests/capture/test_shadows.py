"""A copy that no loss trains (a target network, a teacher) is not to blame: what cuts the one that is trained is."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from gradscope.session import Session


def network():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))


def copied(online):
    return copy.deepcopy(online).requires_grad_(False)


def written(online):
    target = network()
    for mine, theirs in zip(target.parameters(), online.parameters(), strict=True):
        mine.data.copy_(theirs.data)
        mine.requires_grad = False
    return target


def loaded(online):
    target = network().requires_grad_(False)
    target.load_state_dict(online.state_dict())
    return target


def trainable(online):
    return copy.deepcopy(online)


def never(target, online):
    pass


def averaged(target, online):
    with torch.no_grad():
        for mine, theirs in zip(target.parameters(), online.parameters(), strict=True):
            mine.lerp_(theirs, 0.01)


def averaged_together(target, online):
    with torch.no_grad():
        torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 0.01)


def by_state_dict(target, online):
    new = online.state_dict()
    target.load_state_dict({name: 0.9 * old + 0.1 * new[name] for name, old in target.state_dict().items()})


def squared(prediction, goal):
    return functional.mse_loss(prediction, goal)


def written_out(prediction, goal):
    return 2 - 2 * (functional.normalize(prediction, dim=-1) * functional.normalize(goal, dim=-1)).sum(-1).mean()


def trained(make, renew, measure, *, cut):
    """What is told of a network that learns to predict what a copy of it computes."""
    torch.manual_seed(0)
    online = network()
    predictor = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 4))
    with Session() as session:
        target = make(online)
        optimizer = torch.optim.SGD([*online.parameters(), *predictor.parameters()], 0.1)
        for _ in range(6):
            x = torch.randn(8, 6)
            with torch.no_grad():
                goal = target(x)
            seen = online(x)
            if cut:
                seen = seen.detach()  # here
            optimizer.zero_grad()
            measure(predictor(seen), goal).backward()
            optimizer.step()
            renew(target, online)
    return [f for f in session.report().findings if f.severity in ("error", "warning")]


RENEWALS = pytest.mark.parametrize("renew", [never, averaged, averaged_together, by_state_dict])
COPIES = pytest.mark.parametrize("make", [copied, written, loaded, trainable])


@RENEWALS
@COPIES
def test_the_detach_is_told_and_not_the_copy(make, renew):
    (found,) = trained(make, renew, squared, cut=True)
    assert (found.model, found.cause) == ("online", "detach")
    assert found.location.text.endswith("# here")
    assert found.also == ()


def test_however_it_is_compared_with_the_copy():
    (found,) = trained(copied, averaged, written_out, cut=True)
    assert found.location.text.endswith("# here")


@RENEWALS
@COPIES
def test_one_that_learns_is_silent(make, renew):
    assert trained(make, renew, written_out, cut=False) == []


def test_a_frozen_layer_that_a_vector_is_written_into_is_where_it_is_lost():
    torch.manual_seed(0)
    words, head = nn.Embedding(10, 4).requires_grad_(False), nn.Linear(4, 1)
    vector = nn.Parameter(torch.randn(4))
    optimizer = torch.optim.SGD([vector, *head.parameters()], 0.1)
    with Session() as session:
        for _ in range(4):
            words.weight.data[3] = vector.data  # here
            optimizer.zero_grad()
            head(words(torch.tensor([1, 3]))).square().mean().backward()
            optimizer.step()
    (found,) = [f for f in session.report().findings if f.severity == "error"]
    assert found.location.text.endswith("# here")


def dropped(goal_of):
    """What is told where a network's output is not used, and that of its copy is."""
    torch.manual_seed(0)
    online, predictor = nn.Linear(6, 4), nn.Linear(4, 4)
    with Session() as session:
        target = copied(online)
        optimizer = torch.optim.SGD([*online.parameters(), *predictor.parameters()], 0.1)
        for _ in range(6):
            x = torch.randn(8, 6)
            online(x)  # dropped
            optimizer.zero_grad()
            goal_of(predictor, target, x).backward()
            optimizer.step()
            averaged(target, online)
    (found,) = [f for f in session.report().findings if f.severity == "error"]
    assert found.model == "online"
    return found


def test_an_output_that_is_dropped_is_told_before_the_copy():
    found = dropped(lambda predictor, target, x: squared(predictor(x[:, :4]), target(x).detach()))
    assert found.cause == "unused_output"
    assert found.location.text.endswith("# dropped")


def test_a_copy_whose_output_is_used_in_its_place_is_told():
    found = dropped(lambda predictor, target, x: predictor(target(x)).square().mean())  # another
    assert found.cause == "copied"
    assert "target, is called" in found.message
    assert found.location.text.endswith("# another")
