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
        (finding,) = [f for f in session.report().findings if f.code == "GS501"]
    assert (finding.model, finding.cause, finding.severity) == ("average", "copied", "error")
    assert ("put the original back" in finding.fix) == (begins > 0)
