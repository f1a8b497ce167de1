import torch
import torch.nn.functional as F
from torch import nn


def block(*sizes):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


class AAE:
    def __init__(self, x_dim=20, z_dim=4):
        self.z_dim = z_dim
        self.encoder = block(x_dim, 32, z_dim)
        self.decoder = block(z_dim, 32, x_dim)
        self.critic = block(z_dim, 32, 1)
        self.optims = {
            "ae": torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()], lr=2e-3),
            "critic": torch.optim.Adam(self.critic.parameters(), lr=1e-3),
        }

    def zero_all(self):
        for opt in self.optims.values():
            opt.zero_grad()

    def step_all(self):
        for opt in self.optims.values():
            opt.step()

    def reconstruction_phase(self, x):
        self.zero_all()
        z = self.encoder(x)
        loss = F.mse_loss(self.decoder(z), x)
        loss.backward()
        return loss.item()

    def critic_phase(self, x):
        self.zero_all()
        z_fake = self.encoder(x).detach()
        z_real = torch.randn(len(x), self.z_dim)
        real, fake = self.critic(z_real), self.critic(z_fake)
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        loss.backward()
        return loss.item()

    def train_batch(self, x):
        stats = {"recon": self.reconstruction_phase(x), "critic": self.critic_phase(x)}
        self.step_all()
        return stats


def batches(n, size=32):
    basis = torch.randn(4, 20)
    for _ in range(n):
        yield torch.randn(size, 4) @ basis + 0.05 * torch.randn(size, 20)


if __name__ == "__main__":
    torch.manual_seed(4)
    aae = AAE()
    for i, x in enumerate(batches(20)):
        stats = aae.train_batch(x)
        if i % 4 == 0:
            print(i, " ".join(f"{k}={v:.4f}" for k, v in stats.items()))
