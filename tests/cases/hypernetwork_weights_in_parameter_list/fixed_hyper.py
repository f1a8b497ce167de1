import torch
from torch import nn
import torch.nn.functional as F


class TargetField(nn.Module):
    """Small coordinate network whose weights come from outside."""

    shapes = [(32, 2), (32,), (1, 32), (1,)]

    def __init__(self):
        super().__init__()
        self.weights = []

    def load(self, flat):
        sizes = [torch.Size(s).numel() for s in self.shapes]
        self.weights = [chunk.view(shape) for chunk, shape in zip(flat.split(sizes), self.shapes)]
        return self

    def forward(self, xy):
        w1, b1, w2, b2 = self.weights
        return F.linear(torch.sin(3 * F.linear(xy, w1, b1)), w2, b2)


class HyperNet(nn.Module):
    def __init__(self, code_dim):
        super().__init__()
        n = sum(torch.Size(s).numel() for s in TargetField.shapes)
        self.trunk = nn.Sequential(nn.Linear(code_dim, 48), nn.ReLU())
        self.head = nn.Linear(48, n)

    def forward(self, code):
        return self.head(self.trunk(code))
