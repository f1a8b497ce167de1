import torch
from torch import nn
import torch.nn.functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(20, 16)
        self.mu, self.logvar = nn.Linear(16, 4), nn.Linear(16, 4)
        self.dec = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 20))

    def forward(self, x):
        h = torch.relu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar


class VAEGAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.vae = VAE()
        self.critic = nn.Sequential(nn.Linear(20, 24), nn.LeakyReLU(0.2), nn.Linear(24, 1))

    def optimizers(self):
        return (torch.optim.Adam(self.vae.parameters(), lr=1e-3),
                torch.optim.Adam(self.critic.parameters(), lr=1e-3))


def train(system, steps):
    vae_opt, critic_opt = system.optimizers()
    for step in range(steps):
        x = torch.rand(32, 20)
        rec, mu, logvar = system.vae(x)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).mean()
        vae_loss = F.mse_loss(rec, x) + 0.05 * kl + 0.1 * F.softplus(-system.critic(rec)).mean()
        vae_loss.backward()

        # remove what the reconstruction left in the critic
        system.zero_grad()
        critic_loss = F.softplus(-system.critic(x)).mean() + F.softplus(system.critic(rec.detach())).mean()
        critic_loss.backward()

        critic_opt.step()
        vae_opt.step()
        system.zero_grad()
        print(f"{step} vae {vae_loss.item():.4f} critic {critic_loss.item():.4f}")


torch.manual_seed(83)
system = VAEGAN()
train(system, 5)
