"""What a model had and has no more: what reached it still counts, and what is wrong is told of what came instead."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import gradscope
from gradscope.session import Session


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


def train(model, optimizer, turns):
    for _ in turns:
        optimizer.zero_grad()
        model(torch.randn(4, 3)).pow(2).mean().backward()
        optimizer.step()


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)


def assign(model):
    model.load_state_dict({name: value.clone() for name, value in model.state_dict().items()}, assign=True)


@pytest.mark.parametrize("before", [0, 3])
def test_a_parametrization_after_the_optimizer_is_told_once_as_stale(before):
    model = nn.Linear(3, 1)
    optimizer = sgd(model)
    with gradscope.watch(model=model) as scope:
        train(model, optimizer, scope.steps(range(before)))
        parametrizations.weight_norm(model)
        train(model, optimizer, scope.steps(range(6)))
        report = scope.report()
    (finding,) = report.findings
    assert (finding.code, finding.cause) == ("GS501", "stale_parameter")
    assert finding.parameters == ("parametrizations.weight.original0", "parametrizations.weight.original1")


def test_the_first_life_of_a_model_that_is_built_anew_is_judged_as_any_other():
    with Session() as session:
        for cut in (True, False):
            model = nn.Sequential(nn.Linear(3, 3), Cut() if cut else nn.Identity(), nn.Linear(3, 1))
            train(model, sgd(model), range(6))
        report = session.report()
    (finding,) = report.findings
    assert (finding.code, finding.cause, finding.parameters) == ("GS101", "detach", ("0.weight", "0.bias"))


@pytest.mark.parametrize("anew", [True, False])
def test_what_was_delivered_before_all_parameters_were_replaced_stays_in_the_flow_matrix(anew):
    model = nn.Linear(3, 1)
    optimizer = sgd(model)
    with gradscope.watch(model=model) as scope:
        train(model, optimizer, scope.steps(range(5)))
        assign(model)
        train(model, sgd(model) if anew else optimizer, scope.steps(range(5)))
        report = scope.report()
    (row,) = report.flow
    assert (row.count, row.reached) == (10, {"model"})
    assert row.models["model"] is not None
    assert [f.cause for f in report.findings] == ([] if anew else ["stale_parameter"])

    # from two lines, the first of which only the former tensors knew
    with gradscope.watch(model=model) as scope:
        optimizer = sgd(model)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(4, 3)).sum().backward()
            optimizer.step()
        norm = scope.report().flow[0].models["model"]
        assign(model)
        train(model, sgd(model), range(5))
        earlier, later = scope.report().to_dict()["flow"]
    assert earlier["models"]["model"] == pytest.approx(norm)
    assert later["models"]["model"] is not None


@pytest.mark.parametrize("how", ["assigned", "child"])
def test_the_first_pass_after_everything_was_replaced_is_not_missed(how):
    model = nn.Sequential(nn.Linear(3, 1))
    optimizer = sgd(model)
    with gradscope.watch(model=model) as scope:
        train(model, optimizer, range(5))
        if how == "assigned":
            assign(model)
        else:
            model[0] = nn.Linear(3, 1)
        train(model, optimizer, range(5))
        report = scope.report()
        new = list(model.parameters())
        assert {len(p._post_accumulate_grad_hooks) for p in new} == {1}
    assert (report.run.steps, report.run.backwards, [row.count for row in report.flow]) == (10, 10, [10])
    assert [f.cause for f in report.findings] == ["stale_parameter"]
    assert not any(p._post_accumulate_grad_hooks for p in new)


def test_what_is_given_and_never_reached_keeps_no_hook():
    model = nn.Sequential(nn.Linear(3, 1))
    with gradscope.watch(model=model):
        model.extra = nn.Parameter(torch.zeros(1))
        extra = model.extra
    assert not extra._post_accumulate_grad_hooks
