import math
import torch
from torch import nn, optim
from torch.nn import functional as F

torch.manual_seed(1)


def alpha_to_shift(alpha_init, step):
    # shift that makes an empty voxel have opacity alpha_init after a softplus
    return math.log(1 / (1 - alpha_init) ** (1 / step) - 1)


class DensityGrid(nn.Module):
    def __init__(self, res, step, alpha_init=0.05):
        super().__init__()
        self.values = nn.Parameter(0.1 * torch.randn(1, 1, res, res, res))
        self.shift = alpha_to_shift(alpha_init, step)
        self.step = step

    def forward(self, pts):
        raw = F.grid_sample(self.values, pts.view(1, 1, 1, -1, 3), align_corners=True).view(-1)
        sigma = F.softplus(raw + self.shift)
        return 1 - torch.exp(-sigma * self.step)


def positional(x, n=3):
    bands = [x] + [f(2 ** k * math.pi * x) for k in range(n) for f in (torch.sin, torch.cos)]
    return torch.cat(bands, -1)


class Colour(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(21, 32), nn.ReLU(), nn.Linear(32, 3), nn.Sigmoid())

    def forward(self, pts):
        return self.net(positional(pts))


grid, colour = DensityGrid(res=12, step=0.5), Colour()
background = nn.Parameter(torch.full((3,), 0.5))
opt = optim.Adam([{"params": grid.parameters(), "lr": 0.1}, {"params": colour.parameters()}, {"params": [background]}], lr=1e-3)


def composite(alpha, rgb):
    remaining = torch.cumprod(1 - alpha + 1e-10, dim=1)
    weights = alpha * torch.cat([torch.ones_like(alpha[:, :1]), remaining[:, :-1]], 1)
    return (weights[..., None] * rgb).sum(1) + remaining[:, -1:] * background


def ball_colours(pts):
    inside = (pts.norm(dim=-1) < 0.5).any(1, keepdim=True).float()
    return inside * torch.tensor([0.9, 0.2, 0.1]) + (1 - inside)


for it in range(8):
    start = torch.rand(40, 1, 3) * 1.6 - 0.8
    ray = F.normalize(torch.randn(40, 1, 3), dim=-1) * torch.linspace(-0.9, 0.9, 10).view(1, -1, 1)
    pts = (start * 0.3 + ray).clamp(-1, 1)
    pixel = composite(grid(pts.reshape(-1, 3)).view(40, 10), colour(pts))
    loss = (pixel - ball_colours(pts)).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(it, round(loss.item(), 4))
