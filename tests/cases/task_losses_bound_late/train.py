import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 12))

    def forward(self, x):
        return self.net(x)


trunk = Trunk()
heads = nn.ModuleDict({"depth": nn.Linear(12, 1), "normals": nn.Linear(12, 1), "shading": nn.Linear(12, 1)})
criteria = {}
for task, head in heads.items():

    def criterion(features, target):
        return F.smooth_l1_loss(head(features).squeeze(-1), target)

    criteria[task] = criterion

optimizer = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=3e-3)
mix = torch.randn(6, 3)
for step in range(25):
    x = torch.randn(32, 6)
    targets = dict(zip(criteria, torch.tanh(x @ mix).unbind(1)))
    features = trunk(x)
    loss = sum(criteria[task](features, target) for task, target in targets.items())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 8 == 0:
        print(f"step {step} loss {loss.item():.4f}")
