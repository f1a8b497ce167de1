import math
import torch
from torch import nn
from torch.nn.functional import normalize


def from_6d(v):
    a, b = v[:, :3], v[:, 3:]
    x = normalize(a, dim=-1)
    y = normalize(b - (x * b).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def about_z(angle):
    c, s, o = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return torch.stack([c, -s, o, s, c, o, o, o, o + 1], -1).view(-1, 3, 3)


def geodesic(r1, r2):
    trace = torch.einsum("nij,nij->n", r1, r2)
    return torch.acos(((trace - 1) / 2).clamp(-1 + 1e-4, 1 - 1e-4))


class RotationHead(nn.Linear):
    """Starts at the identity rotation."""

    def __init__(self, n_in):
        super().__init__(n_in, 6)

    def reset_parameters(self):
        nn.init.zeros_(self.weight)
        with torch.no_grad():
            self.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def forward(self, h):
        return from_6d(super().forward(h))


def make_views(n):
    degrees = torch.arange(n) * (360.0 / n)
    angle = degrees * math.pi / 180
    size = 0.5 + torch.rand(n, 1)
    corners = torch.tensor([[1.0, 0, 0], [0, 1.2, 0], [0.3, 0.4, 1.0], [-1.0, 0.5, 0.2]])
    points = torch.einsum("nij,pj->npi", about_z(angle), corners) * size[..., None]
    return points.flatten(1) + 0.01 * torch.randn(n, 12), about_z(angle), size


torch.manual_seed(5)
encoder = nn.Sequential(nn.Linear(12, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU())
rotation_head, scale_head = RotationHead(32), nn.Linear(32, 1)
params = [p for m in (encoder, rotation_head, scale_head) for p in m.parameters()]
opt = torch.optim.AdamW(params, lr=2e-3)
for epoch in range(6):
    x, rot, size = make_views(24)
    h = encoder(x)
    loss_rot = geodesic(rotation_head(h), rot).mean()
    loss_size = (scale_head(h) - size).abs().mean()
    opt.zero_grad()
    (loss_rot + loss_size).backward()
    opt.step()
    print(f"epoch {epoch}: rotation {loss_rot.item():.3f} size {loss_size.item():.3f}")
