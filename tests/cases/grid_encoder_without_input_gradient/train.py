import torch
from torch import nn
from gridencoder import GridEncoder

torch.manual_seed(30)


class PoseRefinement(nn.Module):
    def __init__(self, n_views):
        super().__init__()
        self.angle = nn.Parameter(torch.zeros(n_views))
        self.shift = nn.Parameter(torch.zeros(n_views, 2))

    def forward(self, view, pts):
        c, s = torch.cos(self.angle[view]), torch.sin(self.angle[view])
        x, y = pts.unbind(1)
        return torch.stack([c * x - s * y, s * x + c * y], dim=1) + self.shift[view]


poses = PoseRefinement(n_views=4)
encoder, mlp = GridEncoder(), nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 3))
optimizer = torch.optim.Adam([{"params": encoder.parameters(), "lr": 1e-2}, {"params": mlp.parameters(), "lr": 1e-3},
                              {"params": poses.parameters(), "lr": 1e-3}])
for it in range(8):
    view = torch.randint(0, 4, (128,))
    pts = torch.rand(128, 2) * 0.8
    colour = torch.sin(6 * (pts + 0.02 * view[:, None]).sum(1, keepdim=True)) * torch.ones(3)
    loss = (mlp(encoder(poses(view, pts))) - colour).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(it, round(loss.item(), 5), "pose", round(poses.shift.abs().sum().item(), 5))
