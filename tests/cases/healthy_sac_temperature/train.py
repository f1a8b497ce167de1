import copy

import torch
from torch import nn
from torch.distributions import Normal


class SquashedGaussian(nn.Module):
    def __init__(self, n_obs, n_act, width=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_obs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.mean, self.log_std = nn.Linear(width, n_act), nn.Linear(width, n_act)

    def forward(self, obs):
        h = self.body(obs)
        std = self.log_std(h).clamp(-5, 2).exp()
        raw = Normal(self.mean(h), std).rsample()
        log_prob = Normal(self.mean(h), std).log_prob(raw) - 2 * (0.6931 - raw - nn.functional.softplus(-2 * raw))
        return torch.tanh(raw), log_prob.sum(-1, keepdim=True)


class TwinQ(nn.Module):
    def __init__(self, n_in, width=32):
        super().__init__()
        self.twins = nn.ModuleList(nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, 1)) for _ in range(2))

    def forward(self, obs, act):
        x = torch.cat([obs, act], -1)
        return torch.cat([twin(x) for twin in self.twins], -1)


class SAC:
    def __init__(self, n_obs, n_act):
        self.policy, self.q = SquashedGaussian(n_obs, n_act), TwinQ(n_obs + n_act)
        self.q_target = copy.deepcopy(self.q).requires_grad_(False)
        self.log_alpha = torch.zeros((), requires_grad=True)
        self.target_entropy = -float(n_act)
        self.opts = {"q": torch.optim.Adam(self.q.parameters(), 1e-3), "pi": torch.optim.Adam(self.policy.parameters(), 1e-3),
                     "alpha": torch.optim.Adam([self.log_alpha], 3e-3)}

    def optimise(self, name, loss):
        self.opts[name].zero_grad()
        loss.backward()
        self.opts[name].step()
        return round(loss.item(), 4)

    def update(self, obs, act, rew, nxt, done):
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            a2, logp2 = self.policy(nxt)
            soft = self.q_target(nxt, a2).amin(-1, keepdim=True) - alpha * logp2
            target = rew + 0.98 * (1 - done) * soft
        logs = {"q": self.optimise("q", (self.q(obs, act) - target).square().mean())}
        new, logp = self.policy(obs)
        logs["pi"] = self.optimise("pi", (alpha * logp - self.q(obs, new).amin(-1, keepdim=True)).mean())
        logs["alpha"] = self.optimise("alpha", -(self.log_alpha.exp() * (logp.detach() + self.target_entropy)).mean())
        with torch.no_grad():
            for t, p in zip(self.q_target.parameters(), self.q.parameters()):
                t.lerp_(p, 0.05)
        return logs


torch.manual_seed(0)
sac = SAC(3, 2)
for k in range(6):
    obs = torch.randn(64, 3)
    act = torch.rand(64, 2) * 2 - 1
    nxt = obs + 0.1 * torch.cat([act, -act[:, :1]], -1)
    print(k, sac.update(obs, act, -(nxt ** 2).sum(-1, keepdim=True), nxt, (torch.rand(64, 1) < 0.1).float()))
