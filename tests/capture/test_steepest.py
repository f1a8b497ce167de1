"""Where on its way a gradient collapses or grows: said in numbers, and one layer without weight is blamed alone."""

from __future__ import annotations

import torch
from torch import nn

from gradscope.session import Session


class Deep(nn.Module):
    def __init__(self, layers, change):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(layers))
        self.head = nn.Linear(16, 1)
        with torch.no_grad():
            change(self.layers)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


def told(layers, change):
    torch.manual_seed(0)
    with Session() as session:
        network = Deep(layers, change)
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-9)
        for _ in range(5):
            optimizer.zero_grad()
            network(torch.randn(32, 16)).sub(1).pow(2).mean().backward()
            optimizer.step()
    return [f for f in session.report().findings if f.code in ("GS401", "GS402")]


def test_one_layer_of_next_to_no_weight():
    def change(layers):
        layers[3].weight.mul_(1e-9)  # here

    (finding,) = told(6, change)
    assert (finding.code, finding.cause) == ("GS401", "small_init")
    assert finding.location.text.endswith("# here")
    assert "shrinks most from network.layers.3 to network.layers.2" in finding.detail


def test_where_it_grows():
    def change(layers):
        layers[2].weight.mul_(1e6)

    (finding,) = told(4, change)
    assert finding.code == "GS402"
    assert "grows most from network.layers.2 to network.layers.1" in finding.detail
