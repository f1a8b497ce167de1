import torch
from torch import nn


def quantize(y, training):
    return torch.round(y)


class Codec(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.analysis = nn.Sequential(
            nn.Conv2d(1, ch, 3, stride=2, padding=1), nn.LeakyReLU(), nn.Conv2d(ch, ch, 3, stride=2, padding=1)
        )
        self.gain = 8.0
        self.synthesis = nn.Sequential(
            nn.ConvTranspose2d(ch, ch, 4, stride=2, padding=1), nn.LeakyReLU(),
            nn.ConvTranspose2d(ch, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        y = self.analysis(x) * self.gain
        return self.synthesis(quantize(y, self.training) / self.gain)
