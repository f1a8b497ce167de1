import torch
from torch import nn


class WarpNet(nn.Module):
    """Predicts a monotone time warp for each series."""

    def __init__(self, length=20):
        super().__init__()
        self.rates = nn.Sequential(nn.Linear(length, 32), nn.ReLU(), nn.Linear(32, length), nn.Softplus())

    def forward(self, x):
        r = self.rates(x) + 1e-3
        return torch.cumsum(r, -1) / r.sum(-1, keepdim=True) * (x.size(1) - 1)


class TemplateBank(nn.Module):
    def __init__(self, n=3, length=20):
        super().__init__()
        self.templates = nn.Parameter(torch.randn(n, length) * 0.1)

    def forward(self, aligned):
        d = torch.cdist(aligned, self.templates)
        return -torch.logsumexp(-d, dim=1).mean()


def resample(x, positions):
    left = positions.detach().floor().long().clamp(0, x.shape[1] - 2)
    frac = positions - left
    return x.gather(1, left) * (1 - frac) + x.gather(1, left + 1) * frac


torch.manual_seed(309)
warp, bank = WarpNet(), TemplateBank()
optimizer = torch.optim.Adam([{"params": warp.parameters()}, {"params": bank.parameters(), "lr": 1e-2}], lr=1e-3)
for it in range(5):
    speed = 0.5 + torch.rand(12, 1)
    x = torch.sin(speed * torch.linspace(0, 6, 20))
    loss = bank(resample(x, warp(x)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("it", it, "alignment", round(loss.item(), 4))
