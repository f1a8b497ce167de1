import torch
from torch import nn


class WaveGAN:
    def __init__(self, n=32):
        self.G = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, n), nn.Tanh())
        self.D = nn.Sequential(nn.Unflatten(1, (1, n)), nn.Conv1d(1, 8, 8, stride=4), nn.LeakyReLU(0.2), nn.Flatten(), nn.LazyLinear(1))
        self.D(torch.zeros(1, n))
        with torch.no_grad():
            self.D[-1].bias.fill_(-30.0)            # "assume fake": no early false accepts
        self.optG = torch.optim.Adam(self.G.parameters(), lr=2e-4, betas=(0.5, 0.9))
        self.optD = torch.optim.Adam(self.D.parameters(), lr=2e-4, betas=(0.5, 0.9))
        self.bce = nn.BCEWithLogitsLoss()

    def train_D(self, real):
        fake = self.G(torch.randn(len(real), 8)).detach()
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        loss = self.bce(self.D(real), ones) + self.bce(self.D(fake), zeros)
        self.optD.zero_grad()
        loss.backward()
        self.optD.step()
        return loss.item()

    def train_G(self, n):
        zeros = torch.zeros(n, 1)
        fake = self.G(torch.randn(n, 8))
        loss = -self.bce(self.D(fake), zeros)
        self.optG.zero_grad()
        loss.backward()
        self.optG.step()
        return loss.item()


torch.manual_seed(0)
gan = WaveGAN()
t = torch.arange(32) / 32
for epoch in range(6):
    real = torch.sin(2 * torch.pi * (4 * t[None] + torch.rand(24, 1)))
    print(f"epoch {epoch} D {gan.train_D(real):.4f} G {gan.train_G(24):.3e}")
