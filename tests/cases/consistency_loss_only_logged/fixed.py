import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(37)


class DepthNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.ELU(), nn.Conv2d(10, 1, 3, padding=1))

    def forward(self, x):
        return F.softplus(self.net(x)) + 0.1


class NormalNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.ELU(), nn.Conv2d(10, 3, 1))

    def forward(self, x):
        return F.normalize(self.net(x), dim=1)


def normals_from_depth(d):
    dx = F.pad(d[..., :, 1:] - d[..., :, :-1], (0, 1))
    dy = F.pad(d[..., 1:, :] - d[..., :-1, :], (0, 0, 0, 1))
    return F.normalize(torch.cat([-dx, -dy, torch.ones_like(d)], dim=1), dim=1)


def compute_losses(depth, normal, gt):
    losses = {"depth": F.l1_loss(depth, gt), "smooth": (depth[..., 1:] - depth[..., :-1]).abs().mean()}
    losses["consistency"] = (1 - (normals_from_depth(depth) * normal).sum(1)).mean()
    return losses


weights = {"depth": 1.0, "smooth": 0.1, "consistency": 0.5}
depth_net, normal_net = DepthNet(), NormalNet()
optimizer = torch.optim.Adam([*depth_net.parameters(), *normal_net.parameters()], lr=2e-3)

for it in range(5):
    image = torch.rand(2, 3, 12, 12)
    gt = 1 + image.mean(1, keepdim=True)
    losses = compute_losses(depth_net(image), normal_net(image), gt)
    total = sum(weights[k] * v for k, v in losses.items() if k in weights)
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    print(it, {k: round(v.item(), 4) for k, v in losses.items()})
