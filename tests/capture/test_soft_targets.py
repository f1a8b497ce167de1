"""Cross-entropy with soft targets by hand: what weights the logarithms is a target, and needs no gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradscope.session import Session


def cut(z):
    return z.detach()  # here


@pytest.mark.parametrize("view", [cut, lambda z: z])
@pytest.mark.parametrize("how", ["log_softmax", "log"])
def test_the_view_that_predicts_is_blamed_and_not_the_one_that_is_predicted(view, how):
    torch.manual_seed(0)
    backbone, prototypes = nn.Linear(8, 4), nn.Linear(4, 6)
    optimizer = torch.optim.SGD([*backbone.parameters(), *prototypes.parameters()], 0.1)

    def logs(scores):
        return scores.log_softmax(-1) if how == "log_softmax" else scores.softmax(-1).log()

    with Session() as session:
        for _ in range(6):
            x = torch.randn(16, 8)
            first, second = view(backbone(x + 0.1)), backbone(x - 0.1)
            with torch.no_grad():
                codes = (prototypes(second) / 0.05).softmax(-1)
            optimizer.zero_grad()
            (-(codes * logs(prototypes(first))).sum(-1).mean()).backward()
            optimizer.step()
        found = session.report().findings

    assert [(f.model, f.cause, f.location.text) for f in found] == (
        [("backbone", "detach", "return z.detach()  # here")] if view is cut else []
    )
