import torch
from torch import nn

torch.manual_seed(717)


class GaussianModel(nn.Module):
    def __init__(self, n=20):
        super().__init__()
        self.xy = nn.Parameter(torch.rand(n, 2))
        self.log_scale = nn.Parameter(torch.full((n, 1), -1.6))
        self.color = nn.Parameter(torch.rand(n, 3) * 0.2)

    def forward(self, pixels):
        d2 = (pixels[:, None] - self.xy[None]).pow(2).sum(-1)
        w = torch.exp(-d2 / (2 * self.log_scale.squeeze(1).exp() ** 2))
        return w @ self.color

    def densify_and_clone(self, grads, percent=0.3):
        keep = grads > torch.quantile(grads, 1 - percent)
        for name in ("xy", "log_scale", "color"):
            old = getattr(self, name).data
            noise = 0.02 * torch.randn_like(old[keep])
            setattr(self, name, nn.Parameter(torch.cat([old, old[keep] + noise])))


class AppearanceMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))

    def forward(self, rgb, pixels):
        return rgb + self.net(torch.cat([rgb, pixels], 1))


def training_setup(gaussians, appearance):
    return torch.optim.Adam([
        {"params": [gaussians.xy], "lr": 2e-3, "name": "xy"},
        {"params": [gaussians.log_scale], "lr": 5e-3, "name": "scale"},
        {"params": [gaussians.color], "lr": 1e-2, "name": "color"},
        {"params": appearance.parameters(), "lr": 1e-3, "name": "app"},
    ], eps=1e-15)


def target(p):
    return torch.stack([p[:, 0], p[:, 1], 1 - p[:, 0]], 1)


gaussians, appearance = GaussianModel(), AppearanceMLP()
optimizer = training_setup(gaussians, appearance)
for iteration in range(1, 13):
    pixels = torch.rand(128, 2)
    loss = (appearance(gaussians(pixels), pixels) - target(pixels)).abs().mean()
    loss.backward()
    xy_grad = gaussians.xy.grad.norm(dim=1)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if iteration == 3:
        gaussians.densify_and_clone(xy_grad)
    gaussians.zero_grad()
    if iteration % 3 == 0:
        print(f"[ITER {iteration}] l1 {loss.item():.4f} points {len(gaussians.xy)}")
