"""Updates that no torch optimizer makes are seen: by hand, by projection, by assigning gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope
from gradscope.records import Write
from gradscope.session import Session


def parts() -> tuple[nn.Module, nn.Module]:
    return nn.Linear(4, 4), nn.Linear(4, 2)


def train(body: nn.Module, head: nn.Module, *, by_hand: bool) -> None:
    optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
    for _ in range(4):
        loss = head(body(torch.randn(8, 4))).pow(2).mean()
        optimizer.zero_grad()
        head.zero_grad()
        loss.backward()
        optimizer.step()
        for p in head.parameters() if by_hand else ():
            p.data -= 0.1 * p.grad


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_parameter_in_no_optimizer_is_told_only_if_it_stays_as_it_is(by_hand):
    body, head = parts()
    with Session() as session:
        train(body, head, by_hand=by_hand)
    with gradscope.watch(body=body, head=head) as scope:
        train(body, head, by_hand=by_hand)
    for report in (session.report(), scope.report()):
        codes = {(f.code, f.model) for f in report.findings if f.severity == "error"}
        assert codes == (set() if by_hand else {("GS501", "head")})


def test_changes_of_loose_parameters_are_counted():
    body, head = parts()
    with gradscope.watch(body=body, head=head) as scope:
        train(body, head, by_hand=True)
    drifts = {p.name: p.drifts for p in scope.report().run.parameters.values()}
    assert drifts == {"body.weight": 0, "body.bias": 0, "head.weight": 2, "head.bias": 2}, "three looks, two changes"


PROJECTIONS = {
    "clamped in place": lambda p: p.data.clamp_(max=0.0),
    "clamped under no_grad": lambda p: p.detach().clamp_(max=0.0),
    "assigned": lambda p: setattr(p, "data", p.data.clamp(max=0.0)),
    "copied": lambda p: p.data.copy_(p.data.clamp(max=0.0)),
}


@pytest.mark.parametrize("project", PROJECTIONS.values(), ids=PROJECTIONS)
def test_a_value_on_its_bound_is_no_value_put_back(project):
    bound = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([bound], lr=0.1)
    with Session() as session:
        for _ in range(6):
            optimizer.zero_grad()
            (-bound).backward()
            optimizer.step()
            project(bound)
    run = session.report().run
    assert {e.by for e in run.events if isinstance(e, Write) and e.what == "value"} == {"projected"}
    assert [f.code for f in session.report().findings if f.severity != "info"] == []


def test_a_value_that_is_put_back_is_told():
    model = nn.Linear(4, 2)
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Session() as session:
        for _ in range(6):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).pow(2).mean().backward()
            optimizer.step()
            with torch.no_grad():
                for name, p in model.named_parameters():
                    p.copy_(kept[name])
    assert [f.cause for f in session.report().findings] == ["overwritten_after_step"]


def test_gradients_replaced_by_hand_are_no_leftovers():
    net = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with gradscope.watch(net=net) as scope:
        net(torch.randn(8, 4)).pow(2).mean().backward()
        for _ in range(5):
            for p in net.parameters():
                p.grad = torch.randn_like(p)
            optimizer.step()
        writes = [e for e in scope.report().run.events if isinstance(e, Write)]
        assert [(e.by, e.parameters) for e in writes] == [("assigned", frozenset({0, 1}))] * 5
        assert scope.report().findings == ()


@pytest.mark.parametrize("limit", [1.0, 0.0])
def test_clipping_is_judged_by_what_is_left(limit):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    with Session() as session:
        for _ in range(6):
            optimizer.zero_grad()
            (1e7 * model(torch.randn(8, 4))).pow(2).mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), limit)
            optimizer.step()
    causes = [f.cause for f in session.report().findings if f.code == "GS505"]
    assert causes == ([] if limit else ["clip_to_zero"])


def test_steps_without_a_gradient_say_nothing_about_precision():
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradscope.watch(model=model) as scope:
        for turn in range(6):
            optimizer.zero_grad()
            ((turn > 3) * model(torch.randn(8, 4))).pow(2).mean().backward()
            optimizer.step()
        count = scope.report().run.tallies[0]
        assert (count.compared, count.unchanged, count.zero) == (0, 0, 4)
        assert scope.report().findings == ()
