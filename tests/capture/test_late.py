"""Parameters that are not yet what they will be when watching begins, or that come while it runs."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import gradscope


def materialize(*modules: nn.Module) -> None:
    for module in modules:
        module.to_empty(device="cpu")
        module.reset_parameters()


def replace(module: nn.Linear) -> None:
    """What torch does where it does not tell: to_empty(), fully_shard, load_state_dict(assign=True)."""
    for name, old in module._parameters.items():
        module._parameters[name] = nn.Parameter(old.detach().clone())


def step(encoder, decoder, optimizer, *, cut: bool = False) -> None:
    optimizer.zero_grad()
    h = encoder(torch.randn(3, 4))
    decoder(h.detach() if cut else h).sum().backward()
    optimizer.step()


def sgd(*modules: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for module in modules for p in module.parameters()], lr=0.01)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("marked", [False, True])
def test_a_model_made_on_the_meta_device_is_watched_as_it_is_trained(marked, asked):
    with torch.device("meta"):
        encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        materialize(encoder, decoder)
        if asked:
            assert len(scope.report().run.notes) == 1
        optimizer = sgd(encoder, decoder)
        for _ in scope.steps(range(5)) if marked else range(5):
            step(encoder, decoder, optimizer, cut=True)
        report = scope.report()
    (finding,) = report.findings
    assert (finding.code, finding.model) == ("GS101", "encoder")
    assert [model.state for model in report.models] == ["none", "flowing"]
    known = marked or asked
    assert report.run.backwards == (5 if known else 4)
    assert [(row.count, row.location is None) for row in report.flow] == [(5 if known else 4, False)]
    assert ["decoder" in note for note in report.run.notes] == [True] * (not known)
    assert finding.cause == ("detach" if marked else "unknown")


def test_a_part_that_was_replaced_before_the_first_pass_belongs_to_that_pass():
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        replace(encoder)
        optimizer = sgd(encoder, decoder)
        for _ in range(4):
            step(encoder, decoder, optimizer)
        report = scope.report()
    assert [row.count for row in report.flow] == [4]
    assert not report.run.notes
    assert {t.backwards for t in report.run.tallies.values()} == {4}


def test_a_part_replaced_in_the_middle_adds_no_pass_and_says_so():
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = sgd(encoder, decoder)
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for turn in range(6):
            if turn == 3:
                replace(encoder)
                optimizer = sgd(encoder, decoder)
            step(encoder, decoder, optimizer)
        report = scope.report()
    assert not report.findings
    assert (report.run.steps, report.run.backwards) == (6, 6)
    assert [row.count for row in report.flow] == [6]
    assert ["encoder" in note for note in report.run.notes] == [True]


def test_a_model_added_between_backward_and_step_was_not_written_by_hand():
    encoder, decoder = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizer = sgd(encoder, decoder)
    with gradscope.watch(decoder=decoder) as scope:
        for turn in range(4):
            optimizer.zero_grad()
            decoder(encoder(torch.randn(3, 4))).sum().backward()
            if turn == 2:
                scope.add(encoder=encoder)
            optimizer.step()
        run = scope.report().run
    assert not [event for event in run.events if getattr(event, "by", "") == "assigned"]
    assert run.backwards == 4


def test_training_on_the_meta_device_breaks_no_probe():
    with torch.device("meta"):
        model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope, warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            model(torch.randn(3, 4, device="meta")).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        assert scope.report().run.steps == 3


def test_an_optimizer_of_strangers_has_the_names_read_once(monkeypatch):
    model, stranger = nn.Linear(4, 1), nn.Linear(4, 1)
    theirs = torch.optim.SGD(stranger.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        registry = scope._capture.registry
        read = []
        monkeypatch.setattr(registry, "refresh", lambda: read.append(1) or type(registry).refresh(registry))
        for _ in range(4):
            theirs.step()
        assert len(read) == 1
