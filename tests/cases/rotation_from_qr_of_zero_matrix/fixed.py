import torch
from torch import nn


class Registration(nn.Module):
    def __init__(self, n_points=10):
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(6 * n_points, 48), nn.ReLU())
        self.rot_head = nn.Linear(48, 9)
        self.shift_head = nn.Linear(48, 3)
        for p in [*self.rot_head.parameters(), *self.shift_head.parameters()]:
            nn.init.zeros_(p)

    def forward(self, fixed, moving):
        h = self.trunk(torch.cat([fixed, moving], dim=-1))
        m = self.rot_head(h).view(-1, 3, 3)
        m = m + torch.eye(3)
        q, r = torch.linalg.qr(m)
        sign = torch.where(r.diagonal(dim1=1, dim2=2) < 0, -1.0, 1.0)
        return q * sign[:, None, :], self.shift_head(h)


def clouds(n):
    cloud = torch.randn(n, 10, 3)
    a = 0.4 * torch.randn(n)
    c, s, o, i = a.cos(), a.sin(), torch.zeros(n), torch.ones(n)
    R = torch.stack([c, -s, o, s, c, o, o, o, i], 1).view(n, 3, 3)
    return cloud, cloud @ R + 0.3


torch.manual_seed(0)
registration = Registration()
optimizer = torch.optim.Adam(registration.parameters(), lr=1e-3)
for epoch in range(6):
    fixed, moving = clouds(24)
    R, t = registration(fixed, moving)
    loss = nn.functional.mse_loss(fixed @ R + t[:, None], moving)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("epoch", epoch, "registration error", loss.item())
