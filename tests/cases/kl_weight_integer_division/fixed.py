import torch
from torch import nn
from torch.distributions import Normal, kl_divergence


def gaussian(net, x):
    mu, raw = net(x).chunk(2, dim=-1)
    return Normal(mu, nn.functional.softplus(raw) + 1e-3)


class ConditionalVAE(nn.Module):
    def __init__(self, x_dim=8, c_dim=3, z_dim=4):
        super().__init__()
        self.posterior = nn.Sequential(nn.Linear(x_dim + c_dim, 32), nn.ELU(), nn.Linear(32, 2 * z_dim))
        self.prior = nn.Sequential(nn.Linear(c_dim, 16), nn.ELU(), nn.Linear(16, 2 * z_dim))
        self.decoder = nn.Sequential(nn.Linear(z_dim + c_dim, 32), nn.ELU(), nn.Linear(32, x_dim))

    def losses(self, x, c):
        q = gaussian(self.posterior, torch.cat([x, c], -1))
        p = gaussian(self.prior, c)
        recon = self.decoder(torch.cat([q.rsample(), c], -1))
        return (recon - x).pow(2).sum(-1).mean(), kl_divergence(q, p).sum(-1).mean()


def fit(model, epochs=8, warmup=10):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        beta = min(1.0, (epoch + 1) / warmup)
        c = torch.randn(40, 3)
        x = torch.randn(40, 8) * 0.3 + c.repeat(1, 3)[:, :8]
        rec, kl = model.losses(x, c)
        loss = rec + beta * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"epoch {epoch} rec {rec.item():.3f} kl {kl.item():.3f}")


torch.manual_seed(5)
model = ConditionalVAE()
fit(model)
