import torch
from torch import nn


class FSQ(nn.Module):
    def __init__(self, levels):
        super().__init__()
        self.register_buffer("half_width", (torch.tensor(levels) - 1) / 2)

    def forward(self, z):
        bounded = torch.tanh(z) * self.half_width
        rounded = bounded.round()
        return (bounded + (rounded - bounded).detach()) / self.half_width
