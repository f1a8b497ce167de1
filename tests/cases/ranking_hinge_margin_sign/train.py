"""Two-tower retrieval with sampled negatives."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    n_users: int = 60
    n_items: int = 90
    dim: int = 16
    margin: float = 1.0
    lr: float = 5e-3
    steps: int = 8


class Tower(nn.Module):
    def __init__(self, n, dim):
        super().__init__()
        self.table = nn.Embedding(n, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, ids):
        return F.normalize(self.mlp(self.table(ids)), dim=-1)


class Recommender(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.towers = nn.ModuleDict({"user": Tower(cfg.n_users, cfg.dim), "item": Tower(cfg.n_items, cfg.dim)})
        self.category = nn.Linear(8, 4)

    def ranking_loss(self, user, liked, disliked):
        u = self.towers["user"](user)
        good = (u * self.towers["item"](liked)).sum(-1)
        bad = (u * self.towers["item"](disliked)).sum(-1)
        violation = bad - good - 2 * self.cfg.margin
        return F.relu(violation).mean()

    def forward(self, batch):
        rank = self.ranking_loss(batch["user"], batch["liked"], batch["disliked"])
        cat = F.cross_entropy(self.category(batch["side"]), batch["liked"] % 4)
        return rank, cat


def batches(cfg, generator):
    for _ in range(cfg.steps):
        user = torch.randint(cfg.n_users, (48,), generator=generator)
        liked = (user + torch.randint(0, 3, (48,), generator=generator)) % cfg.n_items
        yield {"user": user, "liked": liked, "disliked": torch.randint(cfg.n_items, (48,), generator=generator),
               "side": F.one_hot(liked % 8, 8).float()}


torch.manual_seed(0)
cfg = Config()
rec = Recommender(cfg)
optimizer = torch.optim.AdamW(rec.parameters(), lr=cfg.lr, weight_decay=0.0)
for step, batch in enumerate(batches(cfg, torch.Generator().manual_seed(1))):
    rank, cat = rec(batch)
    optimizer.zero_grad()
    (rank + cat).backward()
    optimizer.step()
    print(f"{step} rank {rank.item():.4f} category {cat.item():.4f}")
