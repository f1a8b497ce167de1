import torch
from torch import nn

ORIGIN = torch.tensor([4_437_120.0, 5_411_840.0, 4_194_816.0])


class Scene(nn.Module):
    def __init__(self, guess, n_views):
        super().__init__()
        self.landmarks = nn.Parameter(guess.clone())
        self.yaw = nn.Parameter(torch.zeros(n_views))
        self.shift = nn.Parameter(torch.zeros(n_views, 3))
        self.log_focal = nn.Parameter(torch.tensor(0.0))

    def forward(self):
        local = self.landmarks - ORIGIN
        c, s = self.yaw.cos(), self.yaw.sin()
        zero, one = torch.zeros_like(c), torch.ones_like(c)
        rot = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).view(-1, 3, 3)
        cam = torch.einsum("vij,nj->vni", rot, local) + self.shift[:, None]
        depth = cam[..., 2:] + 20.0
        return self.log_focal.exp() * 10 * cam[..., :2] / depth


def survey(n_points, n_views):
    points = 4 * torch.randn(n_points, 3)
    truth = Scene(points + ORIGIN, n_views)
    with torch.no_grad():
        truth.yaw.copy_(0.2 * torch.randn(n_views))
        truth.shift.copy_(0.5 * torch.randn(n_views, 3))
        observed = truth()
    return ORIGIN + points + torch.randn(n_points, 3), observed + 0.01 * torch.randn_like(observed)


def adjust(scene, observed, iterations=12):
    optimizer = torch.optim.Adam([
        {"params": [scene.landmarks], "lr": 2e-2},
        {"params": [scene.yaw, scene.shift, scene.log_focal], "lr": 1e-2},
    ])
    for i in range(iterations):
        residual = scene() - observed
        loss = nn.functional.huber_loss(residual, torch.zeros_like(residual))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield i, loss.item()


torch.manual_seed(26)
guess, observed = survey(30, 4)
scene = Scene(guess, 4)
for i, cost in adjust(scene, observed):
    print(f"iteration {i:2d} cost {cost:.5f}")
