import copy

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(nn.functional.silu(self.conv1(x)))


class Base(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.block = Block(channels)
        self.tail = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, noisy, control=0.0):
        h = self.stem(noisy)
        return self.tail(self.block(h) + control)


def zero_module(module):
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


class Control(nn.Module):
    def __init__(self, base, channels=8):
        super().__init__()
        self.hint = nn.Conv2d(1, channels, 3, padding=1)
        self.copy = copy.deepcopy(base.block).requires_grad_(True)
        self.zero_out = zero_module(nn.Conv2d(channels, channels, 1))

    def forward(self, hint):
        return self.zero_out(self.copy(self.hint(hint)))


torch.manual_seed(510)
base = Base().requires_grad_(False).eval()
control = Control(base)
opt = torch.optim.AdamW(control.parameters(), lr=5e-3, weight_decay=0.0)
for step in range(10):
    edges = (torch.rand(16, 1, 12, 12) > 0.8).float()
    clean = nn.functional.avg_pool2d(edges, 3, stride=1, padding=1)
    noise = torch.randn_like(clean)
    predicted = base(clean + noise, control(edges))
    loss = nn.functional.mse_loss(predicted, noise)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, f"{loss.item():.4f}")
