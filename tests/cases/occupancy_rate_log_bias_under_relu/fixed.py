import math
import torch
from torch import nn
import torch.nn.functional as F


class OccupancyHead(nn.Module):
    """people per building, never negative"""

    def __init__(self, dim, mean_rate):
        super().__init__()
        self.fc = nn.Linear(dim, 16)
        self.out = nn.Linear(16, 1)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.constant_(self.out.bias, math.log(mean_rate))

    def forward(self, feats):
        return F.softplus(self.out(torch.tanh(self.fc(feats))))


class PopulationModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.unet = nn.Sequential(nn.Conv2d(5, 12, 3, padding=1), nn.GELU(), nn.Conv2d(12, 12, 3, padding=1), nn.GELU())
        self.head = OccupancyHead(12, mean_rate=0.08)
        self.land_use = nn.Linear(12, 3)

    def forward(self, covariates, buildings):
        h = self.unet(covariates).permute(0, 2, 3, 1)
        occupancy = self.head(h).squeeze(-1)
        return (occupancy * buildings).sum((1, 2))


def make_regions(n):
    cov = torch.randn(n, 5, 10, 10)
    buildings = torch.poisson(torch.full((n, 10, 10), 2.0))
    census = (buildings * 0.08 * cov[:, 0].exp().clamp(max=4)).sum((1, 2))
    return cov, buildings, census, (cov[:, 1].mean((1, 2)) > 0).long()


torch.manual_seed(0)
model = PopulationModel()
optimizer = torch.optim.Adam([*model.unet.parameters(), *model.head.parameters()], lr=1e-3)
zone_opt = torch.optim.Adam(model.land_use.parameters(), lr=1e-3)
for step in range(8):
    cov, buildings, census, zone = make_regions(6)
    pred = model(cov, buildings)
    loss = F.l1_loss(pred, census)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    zone_loss = F.cross_entropy(model.land_use(model.unet(cov).detach().mean((2, 3))), zone)
    zone_opt.zero_grad()
    zone_loss.backward()
    zone_opt.step()
    print(step, round(loss.item(), 3), round(pred.mean().item(), 3), round(zone_loss.item(), 3))
