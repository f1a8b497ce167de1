import torch
import torch.nn as nn

torch.manual_seed(4)
BIN = 0.25

image_net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1), nn.Softplus())
lidar_net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1), nn.Softplus())
optimizer = torch.optim.Adam(
    [{"params": image_net.parameters()}, {"params": lidar_net.parameters(), "lr": 5e-3}], lr=1e-3
)


def to_bins(depth):
    return torch.div(depth, BIN, rounding_mode="floor") * BIN + BIN / 2


def step(image, points, truth):
    seen = image_net(image).squeeze(1)
    sensed = lidar_net(points).squeeze(1)
    loss = (seen - truth).abs().mean() + (sensed - truth).abs().mean() + 0.1 * (seen - sensed).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


for i in range(8):
    truth = 1 + 4 * torch.rand(40)
    image = truth.view(-1, 1, 1) / 5 + 0.1 * torch.randn(40, 8, 8)
    points = truth.view(-1, 1) + 0.2 * torch.randn(40, 6)
    print(i, step(image, points, truth).item())
