import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

torch.manual_seed(319)


class GaussianNet(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(i, 24), nn.Tanh())
        self.mean, self.log_std = nn.Linear(24, o), nn.Linear(24, o)

    def forward(self, x):
        h = self.body(x)
        return Normal(self.mean(h), self.log_std(h).clamp(-3, 1).exp())


posterior, prior = GaussianNet(12, 3), GaussianNet(4, 3)
decoder = nn.Linear(3 + 4, 8)
optimizer = torch.optim.Adam(
    [*posterior.parameters(), *prior.parameters(), *decoder.parameters()], lr=2e-3)

for step in range(6):
    cond = torch.randn(32, 4)
    x = cond.repeat(1, 2) + 0.3 * torch.randn(32, 8)
    q, p = posterior(torch.cat([x, cond], 1)), prior(cond)
    rec = decoder(torch.cat([q.rsample(), cond], 1))
    rec_loss = (rec - x).pow(2).mean()
    kl_loss = kl_divergence(q, p).sum(1).mean()
    loss = rec_loss + 0.05 * kl_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} rec {rec_loss.item():.4f} kl {kl_loss.item():.4f}")
