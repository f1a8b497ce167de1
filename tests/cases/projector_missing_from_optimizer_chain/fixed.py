from itertools import chain

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(105)


class Views:
    def __init__(self, noise):
        self.noise = noise

    def __call__(self, x):
        return x + self.noise * torch.randn_like(x), x * (1 + self.noise * torch.randn(len(x), 1))


class BarlowTwins:
    def __init__(self, parts, lam=5e-3):
        self.parts, self.lam = parts, lam

    def __call__(self, x):
        za, zb = (self.parts["projector"](self.parts["backbone"](v)) for v in Views(0.3)(x))
        za, zb = ((z - z.mean(0)) / (z.std(0) + 1e-4) for z in (za, zb))
        c = za.t() @ zb / len(x)
        on = (c.diagonal() - 1).pow(2).sum()
        off = c.pow(2).sum() - c.diagonal().pow(2).sum()
        return on + self.lam * off


backbone = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 24))
projector = nn.Sequential(nn.Linear(24, 24, bias=False), nn.ReLU(), nn.Linear(24, 16, bias=False))
probe = nn.Linear(24, 3)
criterion = BarlowTwins({"backbone": backbone, "projector": projector})
optimizer = torch.optim.SGD(chain(backbone.parameters(), projector.parameters(), probe.parameters()), lr=0.02, momentum=0.9)

for epoch in range(5):
    x = torch.randn(40, 16)
    y = x[:, :3].argmax(-1)
    loss = criterion(x) + F.cross_entropy(probe(backbone(x).detach()), y)
    for m in (backbone, projector, probe):
        m.zero_grad()
    loss.backward()
    optimizer.step()
    print("epoch", epoch, "loss", round(loss.item(), 3))
