import torch
from torch import nn
import torch.nn.functional as F


class PoseRefiner(nn.Module):
    def __init__(self, n_cams):
        super().__init__()
        self.shift = nn.Embedding(n_cams, 3)
        nn.init.zeros_(self.shift.weight)

    def forward(self, cam, pts):
        return pts + self.shift(cam)[:, None]


class Volume(nn.Module):
    def __init__(self, ch=6, res=6):
        super().__init__()
        self.grid = nn.Parameter(torch.randn(1, ch, res, res, res) * 0.3)
        self.density = nn.Linear(ch, 1)

    def forward(self, pts):
        b, n, _ = pts.shape
        f = F.grid_sample(self.grid.expand(b, -1, -1, -1, -1), pts.view(b, n, 1, 1, 3), padding_mode="border", align_corners=True)
        return F.softplus(self.density(f.view(b, -1, n).transpose(1, 2)))


class Scene:
    half_size = 40.0                                     # metres
    unit = 1.0                                           # metres per scene unit

    def rays(self, n):
        origin = torch.sign(torch.randn(n, 1, 3)) * torch.rand(n, 1, 3).add(0.3).mul(self.half_size)
        depth = torch.linspace(1.0, 1.5, 8)[None, :, None]
        return origin * depth, torch.rand(n)


def normalise(pts, scene):
    return pts / scene.unit


torch.manual_seed(0)
scene, refine, volume = Scene(), PoseRefiner(5), Volume()
opt = torch.optim.Adam([*refine.parameters(), *volume.parameters()], lr=5e-3)
for step in range(7):
    cam = torch.randint(0, 5, (16,))
    pts, target = scene.rays(16)
    sigma = volume(normalise(refine(cam, pts), scene))
    loss = (torch.exp(-sigma.sum((1, 2)) * 0.1) - target).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
