import copy

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(205)
TAU = 0.95


def projector(i, o):
    return nn.Sequential(nn.Linear(i, 24), nn.ReLU(), nn.Linear(24, o))


online = nn.ModuleDict({"net": projector(10, 8), "head": projector(8, 6), "predict": projector(6, 6)})
target = nn.ModuleDict({k: copy.deepcopy(online[k]) for k in ("net", "head")})
optimizer = torch.optim.SGD(online.parameters(), lr=0.05, momentum=0.9)


def regression(p, z):
    return 2 - 2 * (F.normalize(p, dim=-1) * F.normalize(z, dim=-1)).sum(-1).mean()


for epoch in range(5):
    x = torch.randn(32, 10)
    views = [x + 0.1 * torch.randn_like(x) for _ in range(2)]
    guesses = [online["predict"](online["head"](online["net"](v))) for v in views]
    with torch.no_grad():
        goals = [target["head"](target["net"](v)) for v in views]
    loss = regression(guesses[0], goals[1]) + regression(guesses[1], goals[0])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for k in target:
        for slow, fast in zip(target[k].parameters(), online[k].parameters()):
            slow.data.mul_(TAU).add_(fast.data, alpha=1 - TAU)
    print("epoch", epoch, "byol", round(loss.item(), 5))
