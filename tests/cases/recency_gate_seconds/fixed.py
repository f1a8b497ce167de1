"""Next-item prediction on click sessions; the state is faded according to the time since the last click."""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Cfg:
    n_items: int = 60
    dim: int = 24
    steps: int = 12
    lr: float = 5e-3
    seed: int = 11


class SessionRec(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.items = nn.Embedding(cfg.n_items, cfg.dim)
        self.recency = nn.Linear(1, cfg.dim)
        self.cell = nn.GRUCell(cfg.dim, cfg.dim)
        self.out = nn.Linear(cfg.dim, cfg.n_items)

    def forward(self, ids, gap):
        h = ids.new_zeros(ids.shape[0], self.cell.hidden_size, dtype=torch.float)
        scores = []
        for t in range(ids.shape[1]):
            keep = torch.sigmoid(self.recency(torch.log1p(gap[:, t : t + 1] / 3600) / 5))
            h = self.cell(self.items(ids[:, t]), h * keep)
            scores.append(self.out(h))
        return torch.stack(scores, 1)


def sessions(n, length, cfg):
    ids = torch.randint(0, cfg.n_items, (n, 1)) + torch.arange(length + 1)
    ids = ids % cfg.n_items
    stamps = 1.7e9 + torch.cumsum(torch.randint(40_000, 400_000, (n, length + 1)), 1).double()
    gap = (stamps[:, 1:] - stamps[:, :-1]).float()
    return ids[:, :-1], ids[:, 1:], gap


cfg = Cfg()
torch.manual_seed(cfg.seed)
rec = SessionRec(cfg)
with torch.no_grad():
    rec.recency.weight.abs_().add_(0.01).neg_()  # older -> forget more
opt = torch.optim.Adam(rec.parameters(), lr=cfg.lr)

for step in range(cfg.steps):
    ids, nxt, gap = sessions(32, 9, cfg)
    logits = rec(ids, gap)
    loss = F.cross_entropy(logits.flatten(0, 1), nxt.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"step {step:2d}  loss {loss.item():.4f}")
