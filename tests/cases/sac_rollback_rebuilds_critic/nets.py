import torch
from torch import nn


class TwinQ(nn.Module):
    def __init__(self, obs, act, hidden=48):
        super().__init__()
        self.args = dict(obs=obs, act=act, hidden=hidden)
        def mk():
            return nn.Sequential(nn.Linear(obs + act, hidden), nn.ReLU(), nn.Linear(hidden, hidden),
                                 nn.ReLU(), nn.Linear(hidden, 1))
        self.q1, self.q2 = mk(), mk()

    def forward(self, o, a):
        x = torch.cat([o, a], -1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)


class Policy(nn.Module):
    def __init__(self, obs, act, hidden=48):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs, hidden), nn.ReLU(), nn.Linear(hidden, 2 * act))

    def forward(self, o):
        mu, log_std = self.body(o).chunk(2, -1)
        std = log_std.clamp(-5, 2).exp()
        u = mu + std * torch.randn_like(mu)
        a = torch.tanh(u)
        logp = torch.distributions.Normal(mu, std).log_prob(u) - torch.log(1 - a.pow(2) + 1e-6)
        return a, logp.sum(-1)
