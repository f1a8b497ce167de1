import functools

import torch
import torch.nn as nn


def integer_symbols(method):
    """the range coder needs integers"""

    @functools.wraps(method)
    def wrapped(self, image):
        latent = method(self, image)
        return latent + (torch.round(latent) - latent).detach()

    return wrapped


class LaplacePrior(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))

    def bits(self, symbols):
        scale = self.log_scale.exp()
        nats = symbols.abs() / scale + torch.log(2 * scale)
        return nats.sum(1).mean() / 0.6931


class Codec(nn.Module):
    def __init__(self, n_in=48, channels=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_in, 40), nn.SiLU(), nn.Linear(40, channels))
        self.decoder = nn.Sequential(nn.Linear(channels, 40), nn.SiLU(), nn.Linear(40, n_in))
        self.prior = LaplacePrior(channels)
        self.gain = 8.0

    @integer_symbols
    def encode(self, image):
        return self.encoder(image) * self.gain

    def forward(self, image):
        symbols = self.encode(image)
        restored = self.decoder(symbols / self.gain)
        return restored, self.prior.bits(symbols)


class Trainer:
    def __init__(self, codec, lmbda=0.002, lr=2e-3):
        self.codec, self.lmbda = codec, lmbda
        self.opt = torch.optim.Adam(codec.parameters(), lr=lr)

    def step(self, image):
        restored, bits = self.codec(image)
        distortion = (restored - image).pow(2).mean()
        self.opt.zero_grad()
        (distortion + self.lmbda * bits).backward()
        self.opt.step()
        return distortion.item(), bits.item()


torch.manual_seed(21)
basis = torch.randn(6, 48)
codec = Codec()
trainer = Trainer(codec)
for i in range(10):
    d, r = trainer.step(torch.randn(64, 6) @ basis / 2)
    print(f"{i:2d}  mse {d:.4f}  bits {r:.2f}")
