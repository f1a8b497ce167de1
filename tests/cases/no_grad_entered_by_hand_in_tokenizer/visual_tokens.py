import torch
from torch import nn


class VisualTokenizer(nn.Module):
    def __init__(self, dim=16, patch=4):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, stride=patch)
        self.norm = nn.LayerNorm(dim)

    def forward(self, frames):
        return self.norm(self.proj(frames).flatten(2).transpose(1, 2))

    def tokenize(self, frames):
        guard = torch.no_grad()
        guard.__enter__()
        tokens = self.forward(frames)
        guard.__exit__(None, None, None)
        return tokens
