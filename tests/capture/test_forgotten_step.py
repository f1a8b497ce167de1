"""A step() that is written nowhere: it belongs behind the backward pass that is the optimizer's own."""

from __future__ import annotations

import torch
from torch import nn

from gradscope.session import Session


def test_a_judge_that_never_steps_is_told_at_its_own_backward():
    torch.manual_seed(0)
    maker, judge = nn.Linear(2, 3), nn.Linear(3, 1)
    with Session() as session:
        of_maker = torch.optim.SGD(maker.parameters(), lr=0.01)
        of_judge = torch.optim.SGD(judge.parameters(), lr=0.01)
        for _ in range(6):
            made = maker(torch.randn(5, 2))
            of_judge.zero_grad()
            judge_loss = judge(made.detach()).square().mean() - judge(torch.randn(5, 3)).mean()
            judge_loss.backward()
            of_maker.zero_grad()
            maker_loss = -judge(made).mean()
            maker_loss.backward()
            of_maker.step()
    (finding,) = session.report().findings

    assert (finding.code, finding.model, finding.cause) == ("GS503", "judge", "missing_step")
    assert finding.location.text == "judge_loss.backward()"


def test_where_no_pass_is_its_own_the_last_one_is_named():
    maker, judge = nn.Linear(2, 3), nn.Linear(3, 1)
    with Session() as session:
        of_maker, *kept = (torch.optim.SGD(part.parameters(), lr=0.01) for part in (maker, judge))
        for _ in range(6):
            of_maker.zero_grad()
            loss = judge(maker(torch.randn(5, 2))).square().mean()
            loss.backward()
            of_maker.step()
    (finding,) = session.report().findings

    assert kept
    assert (finding.code, finding.model) == ("GS503", "judge")
    assert finding.location.text == "loss.backward()"
