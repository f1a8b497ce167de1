from torch import nn
import torch.nn.functional as F


class ResBlock(nn.Module):
    """EDSR block"""

    def __init__(self, ch, res_scale):
        super().__init__()
        self.conv1 = nn.Conv2d(ch, ch, 3, padding=1)
        self.conv2 = nn.Conv2d(ch, ch, 3, padding=1)
        self.res_scale = res_scale

    def forward(self, x):
        out = self.conv2(F.relu(self.conv1(x)))
        return out * self.res_scale
