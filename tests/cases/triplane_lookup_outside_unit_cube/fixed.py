import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
SCENE_CM = 400.0


class Triplane(nn.Module):
    def __init__(self, ch=6, res=12):
        super().__init__()
        self.planes = nn.Parameter(0.3 * torch.randn(3, ch, res, res))
        self.decoder = nn.Sequential(nn.Linear(ch, 24), nn.Softplus(), nn.Linear(24, 4))

    def forward(self, xyz):
        uv = torch.stack([xyz[:, [0, 1]], xyz[:, [0, 2]], xyz[:, [1, 2]]])[:, :, None]
        feat = F.grid_sample(self.planes, uv, padding_mode="border", align_corners=True)
        return self.decoder(feat.squeeze(-1).sum(0).T)


class Deformation(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, xyz, t):
        return xyz + 0.1 * SCENE_CM * self.mlp(torch.cat([xyz / SCENE_CM, t], 1))


deform, field = Deformation(), Triplane()
opt = torch.optim.Adam([{"params": deform.parameters(), "lr": 1e-3}, {"params": field.parameters(), "lr": 5e-3}])

for it in range(7):
    side = torch.randint(0, 2, (128, 3)) * 2.0 - 1
    xyz = side * (0.1 + 0.8 * torch.rand(128, 3)) * SCENE_CM
    t = torch.rand(128, 1)
    rgba = torch.sigmoid(torch.cat([xyz / SCENE_CM, t], 1) * 3)
    canonical = deform(xyz, t) / SCENE_CM
    loss = F.mse_loss(torch.sigmoid(field(canonical)), rgba)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(it, f"{loss.item():.5f}")
