import math
from typing import NamedTuple
import torch
from torch import nn, Tensor


class Coded(NamedTuple):
    audio: Tensor
    bits: Tensor


class LaplacePrior(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels, 1))

    def cdf(self, x):
        b = self.log_scale.exp()
        return 0.5 - 0.5 * x.sign() * torch.expm1(-x.abs() / b)

    def forward(self, y):
        mass = (self.cdf(y + 0.5) - self.cdf(y - 0.5)).clamp(min=1e-9)
        return -mass.log2().sum(dim=(1, 2))


class Codec(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.analysis = nn.Sequential(nn.Conv1d(1, 16, 9, 4, 4), nn.PReLU(), nn.Conv1d(16, channels, 9, 4, 4))
        self.synthesis = nn.Sequential(nn.ConvTranspose1d(channels, 16, 8, 4, 2), nn.PReLU(), nn.ConvTranspose1d(16, 1, 8, 4, 2))
        self.prior = LaplacePrior(channels)
        self.step = 0.1

    def quantize(self, y):
        if self.training:
            return y + torch.rand_like(y) - 0.5
        return torch.round(y)

    def forward(self, wave) -> Coded:
        y = self.quantize(self.analysis(wave) / self.step)
        return Coded(self.synthesis(y * self.step), self.prior(y))


def tones(n, length=128):
    t = torch.arange(length) / length
    f = torch.randint(2, 12, (n, 2, 1))
    a = torch.rand(n, 2, 1) + 0.3
    return (a * torch.sin(2 * math.pi * f * t + 6 * torch.rand(n, 2, 1))).sum(1, keepdim=True)


def rate_distortion(out: Coded, wave, lam):
    distortion = (out.audio - wave).square().mean()
    rate = out.bits.mean() / wave.shape[-1]
    return distortion + lam * rate, distortion, rate


torch.manual_seed(32)
codec = Codec().train()
optimizer = torch.optim.Adam(codec.parameters(), lr=3e-3)
for it in range(10):
    wave = tones(24)
    loss, d, r = rate_distortion(codec(wave), wave, lam=0.01)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{it}: D {d.item():.4f} R {r.item():.3f}")
