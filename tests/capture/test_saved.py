"""Tensors that are written down and read again: known by all their values, and never by accident."""

from __future__ import annotations

import io
import pickle

import pytest
import torch
from torch import nn

from gradscope.session import Session


def told(through, steps=4, *, round_off=False):
    """What is told of a network whose result goes `through` something on its way to another."""
    torch.manual_seed(0)
    encoder, head = nn.Linear(3, 4), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(steps):
            optimizer.zero_grad()
            z = encoder(torch.randn(16, 3))
            z = z.round() if round_off else z
            head(through(z)).sub(1).pow(2).mean().backward()
            optimizer.step()
    return [f for f in session.report().findings if f.code == "GS101"]


def saved(z):
    file = io.BytesIO()
    torch.save({"z": z}, file)  # writes
    file.seek(0)
    return torch.load(file)["z"]  # reads


def pickled(z):
    text = pickle.dumps([z])  # writes
    return pickle.loads(text)[0]  # reads


@pytest.mark.parametrize("through", [saved, pickled])
def test_the_line_that_writes_it_down_is_blamed(through):
    (finding,) = told(through)
    assert finding.cause == "copied"
    assert finding.location.text.endswith("# writes")
    assert [line.text.rsplit("# ")[-1] for line in finding.also] == ["reads"]
    assert "written down" in finding.message


def test_an_explicit_detach_comes_first():
    (finding,) = told(lambda z: pickled(z.detach()))
    assert finding.cause == "detach"


def test_what_only_resembles_it_is_something_else():
    def through(z):
        pickle.dumps(z)
        return pickle.loads(pickle.dumps(torch.randn(16, 4)))

    (finding,) = told(through)
    assert finding.cause == "unused_output"


def test_round_numbers_are_not_recognised():
    (finding,) = told(pickled, round_off=True)
    assert finding.cause == "unused_output"


def test_a_checkpoint_that_is_written_changes_nothing():
    def through(z):
        torch.save({"z": z}, io.BytesIO())
        return z

    assert told(through) == []
