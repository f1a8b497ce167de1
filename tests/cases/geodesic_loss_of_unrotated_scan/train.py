import torch
from torch import nn

torch.manual_seed(3)


class Aligner(nn.Module):
    """predicts a rotation about z; a residual angle on top of 0"""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 1, bias=False))
        nn.init.zeros_(self.net[2].weight)

    def forward(self, scan):
        a = self.net(scan).squeeze(-1)
        c, s, o, i = a.cos(), a.sin(), torch.zeros_like(a), torch.ones_like(a)
        return torch.stack([c, -s, o, s, c, o, o, o, i], -1).view(-1, 3, 3)


def geodesic(R1, R2):
    trace = torch.einsum("bij,bij->b", R1, R2)
    cos = ((trace - 1) / 2).clamp(-1, 1)
    return torch.acos(cos)


aligner = Aligner()
scorer = nn.Sequential(nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam([*aligner.parameters(), *scorer.parameters()], lr=1e-3)

for it in range(6):
    scan = torch.randn(16, 24)
    angle = 0.5 * scan[:, 0]
    angle[:2] = 0.0                            # already aligned
    c, s, o, i = angle.cos(), angle.sin(), torch.zeros(16), torch.ones(16)
    truth = torch.stack([c, -s, o, s, c, o, o, o, i], -1).view(-1, 3, 3)
    rot = geodesic(aligner(scan), truth).mean()
    score = nn.functional.mse_loss(scorer(scan).squeeze(-1), scan.mean(1))
    optimizer.zero_grad()
    (rot + score).backward()
    optimizer.step()
    print(it, f"rotation {rot.item():.4f} score {score.item():.4f}")
