import torch
from torch import nn
import torch.nn.functional as F


class ResBlock(nn.Module):
    def __init__(self, channels, scale=0.5):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.scale = scale

    def forward(self, x):
        y = self.conv2(F.relu(self.conv1(x)))
        return x + self.scale * y


class SuperResolution(nn.Module):
    def __init__(self, channels=10, n_blocks=9, factor=2):
        super().__init__()
        self.lift = nn.Conv2d(1, channels, 3, padding=1)
        self.trunk = nn.Sequential(*[ResBlock(channels) for _ in range(n_blocks)])
        self.upsample = nn.Sequential(nn.Conv2d(channels, factor ** 2, 3, padding=1), nn.PixelShuffle(factor))

    def forward(self, low):
        base = F.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
        return base + self.upsample(self.trunk(self.lift(low)))


def textures(n, size=16):
    axis = torch.arange(size, dtype=torch.float32)
    freq = torch.rand(n, 2, 1, 1) * 1.5
    phase = torch.rand(n, 1, 1) * 6.28
    return torch.sin(freq[:, 0] * axis.view(1, 1, -1) + freq[:, 1] * axis.view(1, -1, 1) + phase).unsqueeze(1)


def step(net, opt, high):
    low = F.avg_pool2d(high, 2)
    loss = F.l1_loss(net(low), high)
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()


torch.manual_seed(0)
sr = SuperResolution()
opt = torch.optim.SGD(sr.parameters(), lr=0.02, momentum=0.9)
curve = [step(sr, opt, textures(8)) for _ in range(8)]
print(" ".join(f"{v:.4f}" for v in curve))
