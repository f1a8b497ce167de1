import torch
from torch import nn

from ops import PrunedMatmul

torch.manual_seed(55)


class PrunedLinear(nn.Module):
    def __init__(self, i, o, density=0.5):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(o, i) / i ** 0.5)
        self.bias = nn.Parameter(torch.zeros(o))
        self.register_buffer("mask", (torch.rand(o, i) < density).float())

    def forward(self, x):
        return PrunedMatmul.apply(x, self) + self.bias


class Pricer(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 24), nn.Tanh())
        self.pruned = PrunedLinear(24, 24)
        self.price = nn.Linear(24, 1)

    def forward(self, x):
        return self.price(torch.relu(self.pruned(self.encoder(x))))


pricer = Pricer()
optimizer = torch.optim.Adam(pricer.parameters(), lr=2e-3)
for day in range(6):
    options = torch.rand(32, 6)
    value = (options[:, :1] - options[:, 1:2]).clamp(min=0) + 0.1 * options[:, 2:3]
    loss = (pricer(options) - value).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("day", day, "pricing error", round(loss.item(), 5))
