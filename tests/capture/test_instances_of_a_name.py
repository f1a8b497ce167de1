"""Models that come one after another under one name: which of them is meant, and which optimizer it should have had."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gradscope.session import Session


def fold(*, forgotten=False, cut=False, steps=12):
    enc, dec = nn.Linear(3, 4), nn.Linear(4, 1)
    opt = torch.optim.SGD([*dec.parameters()] if forgotten else [*enc.parameters(), *dec.parameters()], lr=0.01)
    for _ in range(steps):
        opt.zero_grad()
        hidden = enc(torch.randn(4, 3))
        if cut:
            hidden = hidden.detach()  # here
        dec(hidden).square().mean().backward()
        opt.step()


def folds(broken, **how):
    with Session() as session:
        for number in range(3):
            fold(**(how if number in broken else {}))
    return session.report()


@pytest.mark.parametrize("broken", [{0}, {1}, {0, 1}, {2}, {0, 1, 2}])
def test_a_fold_whose_optimizer_forgot_a_model(broken):
    found = [f for f in folds(broken, forgotten=True).findings if f.severity == "error"]
    assert {(f.code, f.model, f.cause) for f in found} == {("GS501", "enc", "not_in_optimizer")}
    assert all("opt = torch.optim.SGD" in f.location.text for f in found)
    assert {f.earlier for f in found} == {number < 2 for number in broken}


@pytest.mark.parametrize(("broken", "who"), [({0}, "an earlier enc"), ({1}, "an earlier enc"), ({2}, "enc")])
def test_a_fold_that_detaches_is_the_one_that_is_named(broken, who):
    report = folds(broken, cut=True)
    (finding,) = (f for f in report.findings if f.severity == "error")
    assert (finding.code, finding.location.text) == ("GS101", "hidden = hidden.detach()  # here")
    assert finding.message.startswith(f"{who} gets no gradient")
    assert f"No gradient reaches {who} (" in str(report)


def test_phases_on_one_level_each_with_an_optimizer_of_its_own():
    with Session() as session:
        enc, dec = nn.Linear(3, 4), nn.Linear(4, 1)
        opt = torch.optim.SGD(dec.parameters(), lr=0.01)  # here
        for _ in range(12):
            opt.zero_grad()
            dec(enc(torch.randn(4, 3))).square().mean().backward()
            opt.step()
        enc, dec = nn.Linear(3, 4), nn.Linear(4, 1)
        opt = torch.optim.SGD([*enc.parameters(), *dec.parameters()], lr=0.01)
        for _ in range(12):
            opt.zero_grad()
            dec(enc(torch.randn(4, 3))).square().mean().backward()
            opt.step()
    (finding,) = session.report().findings
    assert (finding.code, finding.model, finding.earlier) == ("GS501", "enc", True)
    assert finding.location.text.endswith("# here")


def test_a_model_built_anew_in_every_turn_is_stale_and_told_once():
    net = nn.Linear(3, 4)
    opt = torch.optim.SGD(net.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(12):
            net = nn.Linear(3, 4)
            opt.zero_grad()
            net(torch.randn(4, 3)).square().mean().backward()
            opt.step()
    assert {(f.code, f.model, f.cause) for f in session.report().findings} == {("GS501", "net", "stale_parameter")}


def test_a_layer_replaced_after_the_optimizer_was_built_is_told_with_both_lines():
    with Session() as session:
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        opt = torch.optim.SGD(net.parameters(), lr=0.01)
        net[2] = nn.Linear(4, 1)  # replaced
        for _ in range(12):
            opt.zero_grad()
            net(torch.randn(4, 3)).square().mean().backward()
            opt.step()
    (finding,) = session.report().findings
    (replaced,) = finding.also
    assert replaced.text.endswith("# replaced")
    assert f"replaced at {replaced}, after the optimizer had been given the old ones" in finding.message


def test_a_copy_that_is_written_anew_in_every_turn_is_not_told_beside_what_is_written():
    maker, net = nn.Linear(3, 12), nn.Linear(5, 2)
    opt = torch.optim.SGD(maker.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(12):
            made = maker(torch.randn(3))
            fast = copy.deepcopy(net)
            fast.load_state_dict({"weight": made[:10].view(2, 5), "bias": made[10:]})  # here
            opt.zero_grad()
            fast(torch.randn(8, 5)).square().mean().backward()
            opt.step()
    (finding,) = session.report().findings
    assert (finding.code, finding.model, finding.cause) == ("GS101", "maker", "copied")
    assert finding.location.text.endswith("# here")
