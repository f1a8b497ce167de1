import torch
import torch.nn as nn
import torch.nn.functional as F


class GroupWhitening(nn.Module):
    """ZCA whitening of the batch, group by group (decorrelated batch norm)."""

    def __init__(self, features, group=6, eps=1e-3):
        super().__init__()
        self.group, self.eps = group, eps
        self.extra = -features % group
        self.scale = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))

    def forward(self, x):
        n, d = x.shape
        g = F.pad(x, (0, self.extra)).reshape(n, -1, self.group).transpose(0, 1)
        g = g - g.mean(dim=1, keepdim=True)
        cov = g.transpose(1, 2) @ g / (n - 1) + self.eps * torch.eye(self.group)
        root = torch.linalg.cholesky(torch.linalg.inv(cov))
        out = (g @ root).transpose(0, 1).reshape(n, -1)[:, :d]
        return out * self.scale + self.shift
