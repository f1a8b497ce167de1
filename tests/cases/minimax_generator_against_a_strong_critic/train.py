import torch
from torch import nn


class GAN:
    def __init__(self, generator, discriminator):
        self.G, self.D = generator, discriminator
        self.g_opt = torch.optim.SGD(generator.parameters(), lr=0.05)
        self.d_opt = torch.optim.Adam(discriminator.parameters(), lr=1e-2)

    def d_step(self, real, z):
        loss = nn.functional.softplus(-self.D(real)).mean() + nn.functional.softplus(self.D(self.G(z).detach())).mean()
        self.d_opt.zero_grad()
        loss.backward()
        self.d_opt.step()
        return loss.item()

    def g_step(self, z):
        d_fake = torch.sigmoid(self.D(self.G(z)))
        loss = torch.log(1 - d_fake).mean()
        self.g_opt.zero_grad()
        loss.backward()
        self.g_opt.step()
        return loss.item()


torch.manual_seed(0)
gan = GAN(
    generator=nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2)),
    discriminator=nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)))
nn.init.constant_(gan.G[2].bias, 9.81)                 # raw sensor unit


def real_batch(n=64):
    return torch.randn(n, 2) * 0.3                    # normalised accelerometer readings


for _ in range(6):                                     # give the critic a head start
    gan.d_step(real_batch(), torch.randn(64, 4))
for step in range(6):
    d = gan.d_step(real_batch(), torch.randn(64, 4))
    g = gan.g_step(torch.randn(64, 4))
    print(step, "d", d, "g", g)
