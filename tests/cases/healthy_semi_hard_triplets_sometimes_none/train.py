import torch
from torch import nn
import torch.nn.functional as F


class Miner:
    def __init__(self, margin):
        self.margin = margin

    def __call__(self, z, y):
        d = torch.cdist(z, z)
        same = y[:, None] == y[None]
        pos = torch.where(same, d, torch.zeros_like(d)).amax(1)
        neg = torch.where(same, torch.full_like(d, 1e4), d).amin(1)
        return F.relu(pos - neg + self.margin)


torch.manual_seed(2)
embed = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 6))
opt = torch.optim.SGD(embed.parameters(), lr=0.1)
mine = Miner(margin=0.3)
centres = torch.randn(4, 10) * 1.5
for step in range(20):
    y = torch.arange(4).repeat_interleave(2)
    x = centres[y] + 0.7 * torch.randn(8, 10)
    violation = mine(embed(x), y)
    loss = violation.mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, "violating", int((violation > 0).sum()), f"loss {loss.item():.4f}")
