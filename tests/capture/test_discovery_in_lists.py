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


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.head = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for each in self.layers:
            x = each(x).tanh()
        return self.head(x)


def test_what_a_loop_left_over_is_no_model_and_a_name_of_its_own_is():
    net = Deep()
    for leftover in net.layers:
        nn.init.orthogonal_(leftover.weight)
    last = net.head
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(8, 4)).pow(2).mean().backward()
            optimizer.step()
        names = [model.name for model in session.report().models]
    assert leftover is net.layers[2]
    assert last is net.head
    assert names == ["net", "last"]


def test_a_list_that_only_gathers_models_is_none():
    class System:
        def __init__(self) -> None:
            self.encoder, self.decoder = nn.Linear(4, 4), nn.Linear(4, 4)
            self.parts = nn.ModuleList([self.encoder, self.decoder])

    system = System()
    optimizer = torch.optim.SGD(system.parts.parameters(), lr=0.01)
    with Session() as session:
        for _ in range(3):
            optimizer.zero_grad()
            system.decoder(system.encoder(torch.randn(8, 4))).pow(2).mean().backward()
            optimizer.step()
        names = {model.name for model in session.report().models}
    assert names == {"system.encoder", "system.decoder"}


def test_layers_that_a_list_holds_beside_their_model_are_no_models():
    layers = [nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)]
    net, head = nn.Sequential(*layers), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.01)
    with Session() as session:
        for _ in range(3):
            optimizer.zero_grad()
            head(net(torch.randn(8, 4))).pow(2).mean().backward()
            optimizer.step()
        names = [model.name for model in session.report().models]
    assert names == ["net", "head"]
