import torch
from torch import nn
import torch.nn.functional as F


class Generator(nn.Module):
    def __init__(self, z=8):
        super().__init__()
        self.fc = nn.Linear(z, 32 * 4)
        self.up = nn.ConvTranspose1d(32, 1, 4, stride=4)

    def forward(self, z):
        return torch.tanh(self.up(F.leaky_relu(self.fc(z)).view(-1, 32, 4)))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 16, 4, stride=2)
        self.out = nn.Linear(16 * 7, 1)

    def features(self, x):
        return F.leaky_relu(self.conv(x), 0.2)

    def forward(self, x):
        return self.out(self.features(x).flatten(1))


class WaveGAN:
    def __init__(self):
        self.G, self.D = Generator(), Discriminator()
        self.opt_g = torch.optim.Adam(self.G.parameters(), 1e-3, betas=(0.5, 0.9))
        self.opt_d = torch.optim.Adam([*self.D.parameters()], 1e-3, betas=(0.5, 0.9))

    def train_batch(self, real):
        z = torch.randn(len(real), 8)
        fake = self.G(z).detach()

        d_loss = F.softplus(-self.D(real)).mean() + F.softplus(self.D(fake)).mean()
        self.opt_d.zero_grad()
        d_loss.backward()
        self.opt_d.step()

        # fool D and match its feature statistics
        match = (self.D.features(real).mean(0) - self.D.features(fake).mean(0)).pow(2).mean()
        g_loss = -self.D(fake).mean() + match
        self.opt_g.zero_grad()
        g_loss.backward()
        self.opt_g.step()
        return d_loss.item(), g_loss.item()


if __name__ == "__main__":
    torch.manual_seed(1)
    gan = WaveGAN()
    for i in range(6):
        t = torch.linspace(0, 6.28, 16) * torch.randint(1, 4, (12, 1, 1))
        print("%d  D %.4f  G %.4f" % (i, *gan.train_batch(torch.sin(t))))
