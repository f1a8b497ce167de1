import torch
from torch import nn
import torch.nn.functional as F


def d_hinge(real, fake):
    return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()


class AdversarialTrainer:
    def __init__(self, disc_start=3):
        self.decoder = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 8))
        self.disc = nn.Sequential(nn.Linear(8, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
        self.opt_g = torch.optim.Adam(self.decoder.parameters(), lr=1e-3)
        self.opt_d = torch.optim.Adam(self.disc.parameters(), lr=5e-4)
        self.disc_start = disc_start

    def step(self, i, z, x):
        disc_factor = 0.0 if i < self.disc_start else 1.0          # as in VQGAN
        rec = self.decoder(z)
        g_loss = (rec - x).abs().mean() - disc_factor * 0.1 * self.disc(rec).mean()
        self.opt_g.zero_grad()
        g_loss.backward()
        self.opt_g.step()

        d_loss = d_hinge(self.disc(x), self.disc(rec.detach()))
        self.opt_d.zero_grad()
        d_loss.backward()
        self.opt_d.step()
        return g_loss.item(), d_loss.item()


torch.manual_seed(0)
mix = torch.randn(6, 8)
trainer = AdversarialTrainer()
for i in range(9):
    z = torch.randn(32, 6)
    print(i, trainer.step(i, z, torch.tanh(z @ mix)))
