import math
import warnings
import torch
from torch import nn

warnings.simplefilter("ignore")
torch.manual_seed(12)


class InfectionRate(nn.Module):
    """Contact rate as a function of mobility."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1), nn.Softplus())
        self.recovery = nn.Parameter(torch.tensor(-1.5))

    def forward(self, mobility):
        return self.net(mobility.view(1)).squeeze(), torch.sigmoid(self.recovery)


def heun(field, state, control, dt):
    k1 = field(state, control)
    k2 = field([s + dt * k for s, k in zip(state, k1)], control)
    return [s + 0.5 * dt * (a + b) for s, a, b in zip(state, k1, k2)]


def make_field(rate):
    def field(state, mobility):
        s, i = state
        beta, gamma = rate(mobility)
        flow = beta * s * i
        return [-flow, flow - gamma * i]
    return field


def simulate(field, start, mobility, dt=0.5):
    state, infected = list(start), []
    for m in mobility:
        state = heun(field, state, m, dt)
        infected.append(state[1])
    return torch.stack(infected)


mobility = 0.6 + 0.4 * torch.sin(torch.arange(16) / 3.0)
with torch.no_grad():
    truth = simulate(lambda s, m: [-0.8 * m * s[0] * s[1], 0.8 * m * s[0] * s[1] - 0.2 * s[1]], (torch.tensor(0.95), torch.tensor(0.05)), mobility)

rate = InfectionRate()
noise = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
opt = torch.optim.Adam([{"params": rate.parameters(), "lr": 2e-2}, {"params": noise.parameters(), "lr": 5e-3}])
for it in range(6):
    observed = truth + 0.01 * torch.randn(16)
    curve = simulate(make_field(rate), (torch.tensor(0.95), torch.tensor(0.05)), mobility)
    log_sigma = noise(mobility[:, None]).squeeze(-1) - 2
    nll = ((observed - curve) / log_sigma.exp()).square() / 2 + log_sigma + 0.5 * math.log(2 * math.pi)
    opt.zero_grad()
    nll.mean().backward()
    opt.step()
    print(f"it {it} nll {nll.mean().item():.3f}")
