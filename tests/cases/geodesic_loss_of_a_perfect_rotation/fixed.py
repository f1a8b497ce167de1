import torch
from torch import nn
from fixed_rotation import six_d_to_matrix, geodesic

torch.manual_seed(0)


class PointRegistration(nn.Module):
    def __init__(self):
        super().__init__()
        self.point = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32))
        self.rot = nn.Linear(32, 6)
        self.trans = nn.Linear(32, 3)
        nn.init.zeros_(self.rot.weight)
        self.rot.bias.data = torch.tensor([1.0, 0, 0, 0, 1, 0])

    def forward(self, src, dst):
        h = self.point(torch.cat([src, dst], -1)).max(1).values
        return six_d_to_matrix(self.rot(h)), self.trans(h)


def pairs(n, with_static=True):
    src = torch.randn(n, 40, 3)
    angle = torch.randn(n) * 0.3
    if with_static:
        angle[0] = 0.0                                # parked car: no motion between the scans
    c, s, o, i = angle.cos(), angle.sin(), torch.zeros(n), torch.ones(n)
    R = torch.stack([c, -s, o, s, c, o, o, o, i], -1).view(n, 3, 3)
    t = torch.randn(n, 3) * 0.1
    return src, src @ R.transpose(1, 2) + t[:, None], R, t


net = PointRegistration()
params = {"rot": [*net.point.parameters(), *net.rot.parameters()], "trans": net.trans.parameters()}
opt = torch.optim.Adam([{"params": params["rot"]}, {"params": params["trans"]}], lr=1e-3)
for step in range(5):
    src, dst, R, t = pairs(10)
    R_hat, t_hat = net(src, dst)
    loss = geodesic(R_hat, R).mean() + (t_hat - t).abs().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
