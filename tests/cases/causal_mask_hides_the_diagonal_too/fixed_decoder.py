import torch
from torch import nn


def causal_mask(n):
    return torch.triu(torch.ones(n, n, dtype=torch.bool), diagonal=1)


class Decoder(nn.Module):
    def __init__(self, dim, vocab):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        att = q @ k.transpose(1, 2) / q.size(-1) ** 0.5
        att = att.masked_fill(causal_mask(x.size(1)), float("-inf"))
        x = x + self.proj(att.softmax(dim=-1) @ v)
        return self.out(x)
