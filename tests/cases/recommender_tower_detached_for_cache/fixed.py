import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(11)
N_USERS, N_ITEMS = 40, 60


class Tower(nn.Module):
    def __init__(self, n, dim=16):
        super().__init__()
        self.table = nn.Embedding(n, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 32), nn.ReLU(), nn.Linear(32, dim))

    def forward(self, ids):
        return F.normalize(self.mlp(self.table(ids)), dim=-1)


class TwoTower:
    """Users and items are embedded separately; item vectors are kept for the hard-negative miner."""

    def __init__(self):
        self.user_tower = Tower(N_USERS)
        self.item_tower = Tower(N_ITEMS)
        self.item_cache = {}

    def encode_items(self, item_ids):
        vectors = self.item_tower(item_ids)
        for i, v in zip(item_ids.tolist(), vectors):
            self.item_cache[i] = v.detach()
        return vectors

    def loss(self, user_ids, item_ids, temperature=0.2):
        u = self.user_tower(user_ids)
        v = self.encode_items(item_ids)
        logits = u @ v.t() / temperature
        return F.cross_entropy(logits, torch.arange(len(user_ids)))


system = TwoTower()
opt = torch.optim.Adagrad([
    {"params": system.user_tower.parameters(), "lr": 0.05},
    {"params": system.item_tower.parameters(), "lr": 0.05},
])
for batch in range(5):
    users = torch.randperm(N_USERS)[:16]
    items = (users * 7 + 3) % N_ITEMS
    opt.zero_grad()
    loss = system.loss(users, items)
    loss.backward()
    opt.step()
    print(f"batch {batch}: in-batch softmax loss {loss.item():.4f}, cache {len(system.item_cache)}")
