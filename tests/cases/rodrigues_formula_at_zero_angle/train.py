import torch
import torch.nn as nn
from geometry import rotate

torch.manual_seed(0)
camera_net = nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 3))
nn.init.zeros_(camera_net[2].weight)         # begin with "no rotation"
nn.init.zeros_(camera_net[2].bias)
focal_net = nn.Linear(12, 1)
optim = torch.optim.Adam([*camera_net.parameters(), *focal_net.parameters()], lr=1e-3)
points = torch.randn(25, 3)

for frame in range(6):
    feats = torch.randn(8, 12)
    seen = rotate(0.3 * feats[:, :3] + 0.01, points)
    guess = rotate(camera_net(feats), points) * (1 + 0.1 * focal_net(feats)[:, None])
    loss = (guess - seen).abs().mean()
    optim.zero_grad()
    loss.backward()
    optim.step()
    print("frame", frame, "reprojection", loss.item())
