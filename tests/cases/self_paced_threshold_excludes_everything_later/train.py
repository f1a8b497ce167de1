import torch
from torch import nn
from pacing import SelfPaced

torch.manual_seed(0)
pace = SelfPaced(nn.Sequential(nn.Linear(7, 24), nn.ReLU(), nn.Linear(24, 1)), threshold=6.0)
quantile = nn.Linear(7, 1)
opt = torch.optim.Adam([*pace.parameters(), *quantile.parameters()], lr=1e-3)
x = torch.randn(120, 7)
y = 2 + x[:, 0] * x[:, 1] + 0.3 * torch.randn(120)

for epoch in range(9):
    loss, used = pace(x, y)
    err = y - quantile(x).squeeze(1)
    pinball = torch.maximum(0.9 * err, -0.1 * err).mean()
    opt.zero_grad()
    (loss + pinball).backward()
    opt.step()
    pace.next_epoch()
    print(f"epoch {epoch} loss {loss.item():.4f} samples used {used} pinball {pinball.item():.4f}")
