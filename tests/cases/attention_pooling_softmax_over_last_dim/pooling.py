import torch
from torch import nn


class AttentionPooling(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Linear(dim, 16)
        self.context = nn.Linear(16, 1, bias=False)

    def forward(self, hidden):
        u = torch.tanh(self.proj(hidden))
        weights = torch.softmax(self.context(u), dim=-1)
        return (weights * hidden).sum(dim=1)
