import torch
from torch import nn

torch.manual_seed(41)


class LidarBranch(nn.Module):
    def __init__(self, beams=32, dim=12):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(beams, 24), nn.ReLU(), nn.Linear(24, dim))

    def forward(self, scan):
        return self.mlp(scan)


class CameraBranch(nn.Module):
    def __init__(self, dim=12):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2)
        self.fc = nn.Linear(6, dim)

    def forward(self, img):
        return self.fc(torch.relu(self.conv(img)).mean(dim=(2, 3)))


class Driver(nn.Module):
    def __init__(self, use_lidar=True):
        super().__init__()
        self.camera = CameraBranch()
        self.lidar = LidarBranch() if use_lidar else None
        self.steer = nn.Linear(12, 1)

    def forward(self, img, scan=None):
        h = self.camera(img)
        if self.lidar is not None and scan is not None:
            h = h + self.lidar(scan)
        return self.steer(h)


def train(model, n=6):
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for i in range(n):
        sample = {"image": torch.rand(8, 3, 10, 10), "lidar": torch.rand(8, 32), "angle": torch.rand(8, 1)}
        pred = model(sample["image"], sample.get("scan"))
        loss = (pred - sample["angle"]).abs().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(f"{i}: mae {loss.item():.4f}")


driver = Driver()
train(driver)
