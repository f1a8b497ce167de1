import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, d, scale):
        super().__init__()
        self.norm, self.fc = nn.LayerNorm(d), nn.Linear(d, d)
        self.scale = scale

    def forward(self, x):
        return x + self.scale * torch.sigmoid(self.fc(self.norm(x)))


torch.manual_seed(0)
DEPTH = 40
trunk = nn.Sequential(nn.Linear(8, 16), *[Residual(16, DEPTH ** -0.5) for _ in range(DEPTH)])
head = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 2))
opt = torch.optim.Adam([*trunk.parameters(), *head.parameters()], lr=1e-3)
for step in range(6):
    x = torch.randn(64, 8)
    y = (x[:, 0] > x[:, 1]).long()
    loss = nn.functional.cross_entropy(head(trunk(x)), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
