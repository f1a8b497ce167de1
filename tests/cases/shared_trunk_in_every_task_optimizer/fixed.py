import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(113)


class TaskNet(nn.Module):
    def __init__(self, trunk, out):
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(20, out)

    def forward(self, x):
        return self.head(torch.relu(self.trunk(x)))


trunk = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 20))
tasks = {"speed": TaskNet(trunk, 1), "lane": TaskNet(trunk, 3)}
optims = {name: torch.optim.Adam(net.head.parameters(), lr=1e-3) for name, net in tasks.items()}
optims["trunk"] = torch.optim.Adam(trunk.parameters(), lr=1e-3)

for step in range(5):
    x = torch.randn(20, 12)
    losses = {
        "speed": F.mse_loss(tasks["speed"](x).squeeze(-1), x.sum(-1) * 0.2),
        "lane": F.cross_entropy(tasks["lane"](x), torch.randint(0, 3, (20,))),
    }
    for o in optims.values():
        o.zero_grad()
    sum(losses.values()).backward()
    for o in optims.values():
        o.step()
    print(step, {k: round(v.item(), 4) for k, v in losses.items()})
