import torch
from torch import nn
from fixed_tables import grow


class FactorizationRanker(nn.Module):
    def __init__(self, n_users, n_items, n_ctx, dim=16):
        super().__init__()
        self.users, self.items = nn.Embedding(n_users, dim), nn.Embedding(n_items, dim)
        self.context = nn.EmbeddingBag(n_ctx, dim, mode="sum")
        self.item_bias = nn.Embedding(n_items, 1)
        self.tower = nn.Sequential(nn.Linear(3 * dim, 32), nn.ReLU(), nn.Linear(32, 1, bias=False))

    def add_users(self, n):
        self.users = grow(self.users, n)

    def forward(self, u, i, ctx):
        pu, qi, c = self.users(u), self.items(i), self.context(ctx)
        fm = (pu * qi + pu * c + qi * c).sum(-1)
        return fm + self.tower(torch.cat([pu, qi, c], -1)).squeeze(-1) + self.item_bias(i).squeeze(-1)
