"""Names are read again only where a model no longer holds what it held."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture.contents import Contents
from gradscope.capture.parameters import Registry


def contents(model: nn.Module) -> Contents:
    registry = Registry()
    registry.add_model("model", model)
    return Contents(registry.models)


def _replace(model):
    del model[0]._parameters["bias"]
    model[0]._parameters["bias"] = nn.Parameter(torch.zeros(3))


CHANGES = {
    "a parameter replaced behind torch's back": _replace,
    "a parameter taken out": lambda model: model[0]._parameters.pop("bias"),
    "a module replaced": lambda model: model._modules.update({"0": nn.Linear(2, 3)}),
    "set to evaluation": lambda model: model[2].eval(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(change):
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    held = contents(model)
    assert held.still()
    change(model)
    assert not held.still()


def test_training_is_no_change():
    model = nn.Linear(2, 3)
    held = contents(model)
    model(torch.randn(4, 2)).sum().backward()
    torch.optim.SGD(model.parameters(), 0.1).step()
    model.weight.data = torch.zeros(3, 2)
    assert held.still()


def test_what_is_gone_or_was_never_read_is_not_still():
    held = contents(model := nn.Linear(2, 3))
    del model
    assert not held.still()
    assert not Contents().still()


def test_names_are_read_again_only_after_a_change(monkeypatch):
    read = []
    refresh = Registry.refresh
    monkeypatch.setattr(Registry, "refresh", lambda self: read.append(1) or refresh(self))
    model = nn.Linear(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(4, 2)).sum().backward()
            optimizer.step()

    with gradscope.watch(model=model):
        train(70)
        before = len(read)
        train(200)
        assert len(read) == before
        model.eval()
        train(60)
        assert len(read) == before + 1
