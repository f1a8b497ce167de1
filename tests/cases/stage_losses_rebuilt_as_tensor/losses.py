import torch
import torch.nn as nn


class CharbonnierLoss(nn.Module):
    def __init__(self, eps=1e-3):
        super().__init__()
        self.eps = eps

    def forward(self, x, y):
        return torch.sqrt((x - y).pow(2) + self.eps ** 2).mean()


class EdgeLoss(nn.Module):
    def __init__(self):
        super().__init__()
        k = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
        self.register_buffer("kernel", k.expand(3, 1, 3, 3))
        self.loss = CharbonnierLoss()

    def forward(self, x, y):
        lap = lambda t: nn.functional.conv2d(t, self.kernel, padding=1, groups=3)
        return self.loss(lap(x), lap(y))
