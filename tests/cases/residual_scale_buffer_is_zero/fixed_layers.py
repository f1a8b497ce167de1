import torch
from torch import nn


class ReZeroLayer(nn.Module):
    """ReZero: x + alpha * f(x), starts as the identity"""

    def __init__(self, dim):
        super().__init__()
        self.ff = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.alpha * self.ff(x)
