import torch
from torch import nn

from rotation import euler_to_matrix

torch.manual_seed(13)


class AngleNet(nn.Module):
    def __init__(self, n_points=10):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(3 * n_points, 40), nn.Tanh(), nn.Linear(40, 3))

    def forward(self, cloud):
        return self.net(cloud)


class ShapeAutoencoder(nn.Module):
    def __init__(self, n_points=10, code=12):
        super().__init__()
        self.enc = nn.Linear(3 * n_points, code)
        self.dec = nn.Linear(code, 3 * n_points)

    def forward(self, cloud):
        return self.dec(torch.tanh(self.enc(cloud.flatten(1)))).view_as(cloud)


pose_net, shape_net = AngleNet(), ShapeAutoencoder()
optimizers = {
    "pose": torch.optim.Adam(pose_net.parameters(), lr=1e-3),
    "shape": torch.optim.Adam(shape_net.parameters(), lr=1e-3),
}

for epoch in range(5):
    cloud = torch.randn(8, 10, 3)
    angles = pose_net(cloud)
    canonical = torch.bmm(cloud, euler_to_matrix(angles))
    rebuilt = shape_net(canonical)
    loss = (rebuilt - canonical).pow(2).mean() + 0.1 * canonical.var(dim=0).mean()
    for o in optimizers.values():
        o.zero_grad()
    loss.backward()
    for o in optimizers.values():
        o.step()
    print(epoch, "loss", round(loss.item(), 4))
