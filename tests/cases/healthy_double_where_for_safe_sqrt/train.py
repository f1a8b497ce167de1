import torch
from torch import nn


def safe_norm(v):
    sq = v.pow(2).sum(-1)
    nonzero = sq > 0
    root = torch.sqrt(torch.where(nonzero, sq, torch.ones_like(sq)))
    return torch.where(nonzero, root, torch.zeros_like(sq))


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 3))
scale_net = nn.Linear(6, 1)
opt = torch.optim.Adam([*net.parameters(), *scale_net.parameters()], lr=2e-3)
for step in range(8):
    x = torch.randn(32, 6)
    pinned = torch.rand(32) < 0.25
    shift = net(x) * (~pinned)[:, None]
    dist = safe_norm(shift)
    target = x[:, 0].abs() * ~pinned
    loss = (dist - target).pow(2).mean() + (scale_net(x).squeeze(1) - x.sum(1)).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item(), int(pinned.sum()))
