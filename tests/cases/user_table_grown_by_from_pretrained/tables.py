import torch
from torch import nn


def grow(table, n_new, std=0.02):
    """Return a table with n_new fresh rows at the end (cold start)."""
    fresh = torch.randn(n_new, table.embedding_dim) * std
    return nn.Embedding.from_pretrained(torch.cat([table.weight.detach(), fresh]))
