"""Layers that a student shares with its teacher and that are frozen with it; and sharing that is meant."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gradscope.session import Session


class Encoder(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x).tanh()
        return x


def train(*, frozen_first=False, copied=False, teaches=True):
    teacher, student = Encoder(3), Encoder(1)
    if frozen_first:
        teacher.requires_grad_(False)
    taken = copy.deepcopy(teacher.layers[0]) if copied else teacher.layers[0]
    student.layers = nn.ModuleList([taken])  # shared here
    teacher.requires_grad_(False)  # frozen here
    if copied and frozen_first:
        student.requires_grad_(True)
    optimizer = torch.optim.Adam(student.parameters(), 1e-2)
    for _ in range(8):
        x = torch.randn(16, 4)
        with torch.no_grad():
            target = teacher(x) if teaches else x.repeat(1, 2)
        optimizer.zero_grad()
        nn.functional.mse_loss(student(x), target).backward()
        optimizer.step()


def findings_of(**meant):
    torch.manual_seed(0)
    with Session() as session:
        train(**meant)
        return session.report().findings


def test_layers_frozen_with_the_teacher_are_told():
    (finding,) = findings_of()

    assert (finding.code, finding.cause, finding.severity) == ("GS103", "requires_grad_false", "warning")
    assert finding.model == "student"
    assert finding.parameters == ("layers.0.weight", "layers.0.bias")
    assert finding.location.text.endswith("# frozen here")
    assert [line.text.rpartition("# ")[2] for line in finding.also] == ["shared here"]


@pytest.mark.parametrize(
    "meant",
    [
        {"copied": True},
        {"copied": True, "frozen_first": True},
        {"frozen_first": True},  # who takes frozen layers means them to be frozen
        {"teaches": False},  # a model that only gave its layers
    ],
    ids=", ".join,
)
def test_sharing_that_is_meant_is_silent(meant):
    assert not findings_of(**meant)
