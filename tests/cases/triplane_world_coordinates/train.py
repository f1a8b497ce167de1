import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(3)
NEAR, FAR = 2.0, 6.0


class TriPlane(nn.Module):
    def __init__(self, channels=6, res=24, bound=8.0):
        super().__init__()
        self.bound = bound
        self.planes = nn.Parameter(torch.randn(3, channels, res, res))

    def forward(self, pts):
        pairs = [pts[:, [0, 1]], pts[:, [0, 2]], pts[:, [1, 2]]]
        grid = torch.stack(pairs)[:, :, None, :]
        feats = F.grid_sample(self.planes, grid, align_corners=True)
        return feats.squeeze(-1).sum(0).T


field = TriPlane()
warp = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 3))
decoder = nn.Sequential(nn.Linear(6 + 3, 32), nn.SiLU(), nn.Linear(32, 4))
groups = [{"params": field.parameters(), "lr": 2e-2}, {"params": warp.parameters(), "lr": 1e-3},
          {"params": decoder.parameters(), "lr": 3e-3}]
opt = torch.optim.Adam(groups)


def sample_rays(n=24, bins=8):
    depth = torch.linspace(NEAR, FAR, bins).view(1, bins, 1)
    direction = F.normalize(torch.rand(n, 3) * 0.4 + 0.8, dim=-1)
    origin = torch.full((n, 1, 3), 1.5)
    return origin + depth * direction[:, None], direction


def render(points, direction, time):
    n, bins, _ = points.shape
    flat = points.reshape(-1, 3)
    moved = flat + 0.5 * torch.tanh(warp(torch.cat([flat / FAR, time.expand(len(flat), 1)], -1)))
    view = direction[:, None].expand(n, bins, 3).reshape(-1, 3)
    raw = decoder(torch.cat([field(moved), view], -1)).view(n, bins, 4)
    alpha = 1 - torch.exp(-F.softplus(raw[..., 3]) * (FAR - NEAR) / bins)
    through = torch.cumprod(torch.cat([torch.ones(n, 1), 1 - alpha[:, :-1]], 1), 1)
    return ((alpha * through)[..., None] * raw[..., :3].sigmoid()).sum(1)


for it in range(8):
    points, direction = sample_rays()
    target = 0.5 + 0.5 * torch.sin(points.mean(1) + direction)
    loss = F.mse_loss(render(points, direction, torch.rand(1, 1)), target)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    print("iter", it, "mse", round(loss.item(), 5))
