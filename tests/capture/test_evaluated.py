"""A model that only validation calls: the call is told, where no training step has one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gradscope


class Scaler(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(2, 4), nn.Linear(4, 2)

    def forward(self, x):
        hidden = self.inner(x)
        return self.outer(hidden.relu())


def findings_of(guard, evaluates, trains):
    torch.manual_seed(0)
    body, scaler = nn.Linear(4, 2), Scaler()
    optimizer = torch.optim.SGD([*body.parameters(), *scaler.parameters()], 0.1)

    def validate():
        with guard():
            if evaluates:
                scaler(body(torch.randn(4, 4)))  # the call

    def step():
        x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
        logits = body(x)
        optimizer.zero_grad()
        nn.functional.cross_entropy(scaler(logits) if trains else logits, y).backward()
        optimizer.step()
        validate()

    return gradscope.explain(step, repeat=4, models={"body": body, "scaler": scaler}).findings


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_the_call_in_validation_is_told(guard):
    (finding,) = findings_of(guard, evaluates=True, trains=False)

    assert (finding.code, finding.model, finding.cause) == ("GS101", "scaler", "unused_module")
    assert len(finding.parameters) == 4
    assert "# the call" in finding.location.text
    assert "only what runs without gradients" in finding.message


def test_what_is_never_called_at_all_is_unused():
    (finding,) = findings_of(torch.no_grad, evaluates=False, trains=False)

    assert (finding.code, finding.cause) == ("GS102", "unused_module")


def test_what_is_trained_and_evaluated_is_sound():
    assert not findings_of(torch.no_grad, evaluates=True, trains=True)
