import math

import torch
from torch import nn


class MixtureDensity(nn.Module):
    def __init__(self, n_in, n_components, width=20):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(n_in, width), nn.Tanh())
        self.pi = nn.Linear(width, n_components)
        self.mu = nn.Linear(width, n_components)
        self.raw_sigma = nn.Linear(width, n_components)

    def forward(self, x):
        h = self.hidden(x)
        sigma = nn.functional.softplus(self.raw_sigma(h)) + 0.05
        return self.pi(h).softmax(-1), self.mu(h), sigma


def normal_pdf(y, mu, sigma):
    z = (y[:, None] - mu) / sigma
    return torch.exp(-0.5 * z * z) / (sigma * math.sqrt(2 * math.pi))


def nll(pi, mu, sigma, y):
    z = ((y[:, None] - mu) / sigma).clamp(-30, 30)
    log_prob = pi.log() - 0.5 * z * z - sigma.log() - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log_prob, -1).mean()


class Ticker:
    """Trip durations, with a GPS glitch now and then."""

    def __init__(self, seed):
        self.rng, self.day = torch.Generator().manual_seed(seed), 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.day == 8:
            raise StopIteration
        x = torch.rand(40, 3, generator=self.rng) * 2 - 1
        sign = torch.randint(0, 2, (40,), generator=self.rng) * 2 - 1
        y = sign * (x[:, 0] + 0.5) + 0.1 * torch.randn(40, generator=self.rng)
        if self.day == 5:
            y[17] = 400.0
        self.day += 1
        return x, y


torch.manual_seed(0)
mdn = MixtureDensity(3, 4)
gate = nn.Linear(3, 1)
optimizer = torch.optim.Adam([*mdn.parameters(), *gate.parameters()], lr=4e-3)
for day, (x, y) in enumerate(Ticker(2)):
    density = nll(*mdn(x), y)
    late = nn.functional.binary_cross_entropy_with_logits(gate(x).squeeze(-1), (y > 0).float())
    loss = density + late
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"day {day} nll {density.item():.3f} late {late.item():.3f}")
