import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, dim, flip):
        super().__init__()
        self.flip, self.half = flip, dim // 2
        other = dim - self.half
        a, b = (other, self.half) if flip else (self.half, other)
        self.net = nn.Sequential(nn.Linear(a, 24), nn.ReLU(), nn.Linear(24, 2 * b))

    def forward(self, x):
        left, right = x[..., :self.half], x[..., self.half:]
        if self.flip:
            left, right = right, left
        scale, shift = self.net(left).chunk(2, -1)
        right = right * torch.exp(0.5 * scale.clamp(-2, 2)) + shift
        if self.flip:
            left, right = right, left
        return torch.cat([left, right], -1) if not self.flip else torch.cat([left, right], -1), 0.5 * scale.clamp(-2, 2).sum(-1)
