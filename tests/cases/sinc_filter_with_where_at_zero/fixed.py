import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


def sinc(x):
    safe = torch.where(x == 0, torch.ones_like(x), x)
    return torch.where(x == 0, torch.ones_like(x), torch.sin(safe) / safe)


class BandPass(nn.Module):
    def __init__(self, filters=4, taps=21):
        super().__init__()
        self.low = nn.Parameter(torch.linspace(0.02, 0.2, filters))
        self.band = nn.Parameter(torch.full((filters,), 0.1))
        self.register_buffer("n", torch.arange(taps) - (taps - 1) / 2)
        self.register_buffer("window", torch.hamming_window(taps))

    def kernel(self):
        def lowpass(f):
            return 2 * f[:, None] * sinc(2 * math.pi * f[:, None] * self.n)
        return (lowpass(self.low.abs() + self.band.abs()) - lowpass(self.low.abs())) * self.window

    def forward(self, wave):
        return F.conv1d(wave, self.kernel()[:, None])


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.front = BandPass()
        self.classify = nn.Linear(4, 3)

    def forward(self, wave):
        return self.classify(self.front(wave).square().mean(-1).add(1e-6).log())


detector = Detector()
opt = torch.optim.SGD(detector.parameters(), lr=1e-3)
for step in range(5):
    y = torch.randint(0, 3, (12,))
    t = torch.arange(160)
    wave = torch.sin(t * (0.2 + 0.5 * y[:, None])) + 0.1 * torch.randn(12, 160)
    loss = F.cross_entropy(detector(wave[:, None]), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
