import torch
from torch import nn

torch.manual_seed(0)
VOXEL, GRID = 0.25, 8

shift_net = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 3))     # un-distorts the lidar points
voxel_net = nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 1))
intensity_net = nn.Linear(3, 1)


def cell_centres(points, size=VOXEL):
    cells = torch.div(points, size, rounding_mode="floor")
    return (cells + 0.5) * size


def occupancy(points):
    moved = points + 0.1 * shift_net(points)
    return voxel_net(moved + (cell_centres(moved) - moved).detach()).squeeze(-1)


params = [{"params": shift_net.parameters(), "lr": 1e-3}, {"params": voxel_net.parameters()}, {"params": intensity_net.parameters()}]
opt = torch.optim.Adam(params, lr=3e-3)
for step in range(9):
    pts = torch.rand(128, 3) * 2 - 1
    occ = (pts.norm(dim=-1) < 0.9).float()
    inten = pts[:, 2:].abs()
    loss = nn.functional.binary_cross_entropy_with_logits(occupancy(pts), occ)
    loss = loss + (intensity_net(pts) - inten).abs().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, f"{loss.item():.4f}")
