import torch
from torch import nn

torch.manual_seed(119)
localizer = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 2))
mapper = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 10))
opt_loc = torch.optim.Adam(localizer.parameters(), lr=1e-3)
opt_map = torch.optim.Adam(mapper.parameters(), lr=1e-3)


def train_one(beacons):
    opt_loc.zero_grad()
    opt_map.zero_grad()
    position = localizer(beacons)
    loss = (mapper(position) - beacons).pow(2).mean() + 0.01 * position.pow(2).mean()
    loss.backward()
    opt_loc.step()
    opt_map.step()
    return loss.item()


for i in range(6):
    print("round", i, f"{train_one(torch.rand(20, 10)):.4f}")
