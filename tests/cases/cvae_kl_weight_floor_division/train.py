from types import SimpleNamespace

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.utils.data import DataLoader, TensorDataset

args = SimpleNamespace(batch_size=32, epochs=2, lr=2e-3, latent=3)


class GaussianHead(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, 24), nn.ELU())
        self.mean, self.rho = nn.Linear(24, n_out), nn.Linear(24, n_out)

    def forward(self, *parts):
        h = self.body(torch.cat(parts, -1))
        return Normal(self.mean(h), nn.functional.softplus(self.rho(h)) + 1e-3)


class CVAE(nn.Module):
    """p(y | x) with a learned conditional prior."""

    def __init__(self, n_x, n_y, latent):
        super().__init__()
        self.prior = GaussianHead(n_x, latent)
        self.posterior = GaussianHead(n_x + n_y, latent)
        self.decoder = nn.Sequential(nn.Linear(n_x + latent, 24), nn.ELU(), nn.Linear(24, n_y))

    def elbo_terms(self, x, y):
        q, p = self.posterior(x, y), self.prior(x)
        y_hat = self.decoder(torch.cat([x, q.rsample()], -1))
        return (y_hat - y).pow(2).sum(-1).mean(), kl_divergence(q, p).sum(-1).mean()


class Objective:
    def __init__(self, loader):
        self.kl_weight = loader.batch_size // len(loader.dataset)

    def __call__(self, reconstruction, kl):
        return reconstruction + self.kl_weight * kl


torch.manual_seed(0)
x = torch.randn(160, 4)
y = torch.stack([x[:, 0] * x[:, 1], x[:, 2].sin()], -1) + 0.3 * torch.randn(160, 2).sign()
loader = DataLoader(TensorDataset(x, y), args.batch_size, shuffle=True)
cvae = CVAE(4, 2, args.latent)
objective = Objective(loader)
optimizer = torch.optim.Adam(cvae.parameters(), lr=args.lr)

for epoch in range(args.epochs):
    history = []
    for xb, yb in loader:
        rec, kl = cvae.elbo_terms(xb, yb)
        optimizer.zero_grad()
        objective(rec, kl).backward()
        optimizer.step()
        history.append((rec.item(), kl.item()))
    rec, kl = torch.tensor(history).mean(0).tolist()
    print(f"epoch {epoch}: reconstruction {rec:.3f} kl {kl:.3f}")
