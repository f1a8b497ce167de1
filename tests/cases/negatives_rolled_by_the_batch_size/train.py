import torch
from torch import nn
import torch.nn.functional as F


class TwoTower(nn.Module):
    def __init__(self, users=40, items=60, dim=12):
        super().__init__()
        self.user_tower = nn.Sequential(nn.Embedding(users, dim), nn.Linear(dim, dim))
        self.item_tower = nn.Sequential(nn.Embedding(items, dim), nn.Linear(dim, dim))

    def score(self, u, i):
        return (self.user_tower(u) * self.item_tower(i)).sum(-1)


def in_batch_negatives(items, shift):
    return items.roll(shift)


def bpr(pos, neg):
    return -F.logsigmoid(pos - neg).mean()


torch.manual_seed(0)
BATCH = 32
rec = TwoTower()
popularity = nn.Linear(60, 1)
opt = torch.optim.Adam([*rec.parameters(), *popularity.parameters()], lr=1e-2)
for step in range(8):
    users = torch.randint(0, 40, (BATCH,))
    items = (users + torch.randint(0, 3, (BATCH,))) % 60
    negatives = in_batch_negatives(items, shift=BATCH)
    rank = bpr(rec.score(users, items), rec.score(users, negatives))
    pop = (popularity(F.one_hot(items, 60).float()) - (items < 20).float()[:, None]).pow(2).mean()
    opt.zero_grad()
    (rank + pop).backward()
    opt.step()
    print(step, "bpr", round(rank.item(), 4), "pop", round(pop.item(), 4))
