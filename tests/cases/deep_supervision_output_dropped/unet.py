import torch
from torch import nn
import torch.nn.functional as F


class TinyUNet(nn.Module):
    def __init__(self, ch=8):
        super().__init__()
        self.down = nn.Conv2d(1, ch, 3, padding=1)
        self.mid = nn.Conv2d(ch, ch, 3, padding=1)
        self.up = nn.Conv2d(2 * ch, ch, 3, padding=1)
        self.fine_head = nn.Conv2d(ch, 1, 1)
        self.coarse_head = nn.Conv2d(ch, 1, 1)

    def forward(self, x):
        skip = F.relu(self.down(x))
        low = F.relu(self.mid(F.max_pool2d(skip, 2)))
        up = F.interpolate(low, scale_factor=2, mode="nearest")
        h = F.relu(self.up(torch.cat([skip, up], dim=1)))
        return self.fine_head(h), self.coarse_head(low)
