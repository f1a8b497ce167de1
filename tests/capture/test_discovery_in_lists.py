"""Modules that a model keeps in a plain list, where its parameters() does not look."""

from __future__ import annotations

import torch
from torch import nn

from gradscope.session import Session


def test_modules_in_a_plain_list_are_called_by_their_place_and_the_repair_is_named():
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Linear(4, 4)
            self.branches = [nn.Linear(4, 1)]

    net = nn.Sequential(Inner())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(3):
            optimizer.zero_grad()
            net[0].branches[0](net[0].stem(torch.randn(8, 4))).pow(2).mean().backward()
            optimizer.step()
        report = session.report()

    (finding,) = report.findings
    assert (finding.code, finding.model) == ("GS501", "net.0.branches[0]")
    assert "nn.ModuleList" in finding.fix
