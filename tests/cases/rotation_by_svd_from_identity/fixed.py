import torch
import torch.nn.functional as F
from torch import nn


def project_to_rotation(m):
    q, r = torch.linalg.qr(m)
    return q * torch.diagonal(r, dim1=1, dim2=2).sign()[:, None]


class PoseNet(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.point = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width))
        self.to_matrix = nn.Linear(width, 9)
        nn.init.zeros_(self.to_matrix.weight)
        with torch.no_grad():
            self.to_matrix.bias.copy_(torch.eye(3).flatten())

    def forward(self, cloud):
        feat = self.point(cloud).amax(dim=1)
        return project_to_rotation(self.to_matrix(feat).view(-1, 3, 3))


class ShapeNet(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 6))

    def forward(self, cloud):
        return self.net(cloud).mean(dim=1)


def clouds(batch, n=24):
    base = torch.randn(batch, n, 3) * torch.tensor([2.0, 1.0, 0.5])
    angle = 0.3 * torch.randn(batch)
    c, s, o, i = angle.cos(), angle.sin(), torch.zeros(batch), torch.ones(batch)
    rot = torch.stack([c, -s, o, s, c, o, o, o, i], 1).view(-1, 3, 3)
    return base @ rot.transpose(1, 2), base


torch.manual_seed(19)
pose_net, shape_net = PoseNet(), ShapeNet()
nets = {"pose": pose_net, "shape": shape_net}
optimizers = {name: torch.optim.Adam(net.parameters(), lr=1e-3) for name, net in nets.items()}
for it in range(10):
    cloud, canonical = clouds(16)
    aligned = cloud @ pose_net(cloud)
    stats = shape_net(aligned)
    target = torch.cat([canonical.mean(1), canonical.std(1)], dim=1)
    loss = F.mse_loss(aligned, canonical) + F.mse_loss(stats, target)
    for opt in optimizers.values():
        opt.zero_grad()
    loss.backward()
    skipped = []
    for name, opt in optimizers.items():
        norm = nn.utils.clip_grad_norm_(nets[name].parameters(), 1.0)
        if torch.isfinite(norm):
            opt.step()
        else:
            skipped.append(name)
    print(f"iter {it} loss {loss.item():.4f} skipped {skipped}")
