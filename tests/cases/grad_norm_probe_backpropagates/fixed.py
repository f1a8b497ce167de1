import torch
import torch.nn as nn


def encode(x, n_freq=5):
    """NeRF positional encoding"""
    bands = 2.0 ** torch.arange(n_freq)
    angles = x[..., None] * bands
    return torch.cat([x, angles.sin().flatten(-2), angles.cos().flatten(-2)], dim=-1)


class RadianceField(nn.Module):
    def __init__(self, n_freq=5, width=48):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2 * (1 + 2 * n_freq), width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.sigma = nn.Linear(width, 1)
        self.rgb = nn.Linear(width, 3)

    def forward(self, x):
        h = self.trunk(encode(x))
        return nn.functional.softplus(self.sigma(h)).squeeze(-1), self.rgb(h).sigmoid()


def render(field, origins, directions, near=0.0, far=2.0, n=16):
    t = torch.linspace(near, far, n)
    points = origins[:, None] + t[:, None] * directions[:, None]
    sigma, rgb = field(points)
    alpha = 1 - torch.exp(-sigma * (far - near) / n)
    trans = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], 1), 1)[:, :-1]
    return ((alpha * trans)[..., None] * rgb).sum(1)


def gradient_norm(model, loss):
    return torch.stack([p.grad.norm() for p in model.parameters()]).norm().item()


def rays(n):
    angle = torch.rand(n) * 6.28
    directions = torch.stack([angle.cos(), angle.sin()], -1)
    colour = torch.stack([angle.cos(), (2 * angle).sin(), angle.sin()], -1) * 0.5 + 0.5
    return -directions + 0.1 * torch.randn(n, 2), directions, colour


torch.manual_seed(27)
field = RadianceField()
optimizer = torch.optim.SGD(field.parameters(), lr=0.2)
for it in range(10):
    origins, directions, colour = rays(64)
    loss = (render(field, origins, directions) - colour).square().mean()
    optimizer.zero_grad()
    loss.backward()
    norm = gradient_norm(field, loss)
    optimizer.step()
    print(f"{it} psnr {-10 * loss.log10().item():.3f} grad {norm:.4f}")
