import torch
from torch import nn


def gpt2_init(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, mean=0.0, std=0.02)
        nn.init.zeros_(module.bias)


class VelocityField(nn.Module):
    def __init__(self, dim, width, depth):
        super().__init__()
        layers = [nn.Linear(dim + 1, width), nn.SiLU()]
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, dim))
        self.apply(gpt2_init)

    def forward(self, x, t):
        return self.net(torch.cat([x, t], -1))


class Baseline(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.lin = nn.Linear(dim + 1, dim)

    def forward(self, x, t):
        return self.lin(torch.cat([x, t], -1))
