import copy

import torch
from torch import nn
import torch.nn.functional as F
from torch.distributions import Normal

from buffer import ReplayBuffer


class Policy(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs, 32), nn.ReLU())
        self.mu, self.log_std = nn.Linear(32, act), nn.Linear(32, act)

    def forward(self, o):
        h = self.body(o)
        dist = Normal(self.mu(h), self.log_std(h).clamp(-5, 2).exp())
        raw = dist.rsample()
        logp = dist.log_prob(raw).sum(-1) - (2 * (0.6931 - raw - F.softplus(-2 * raw))).sum(-1)
        return torch.tanh(raw), logp


class TwinQ(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.q1 = nn.Sequential(nn.Linear(obs + act, 32), nn.ReLU(), nn.Linear(32, 1))
        self.q2 = nn.Sequential(nn.Linear(obs + act, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, o, a):
        x = torch.cat([o, a], -1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)


class SAC:
    def __init__(self, obs=5, act=2):
        self.policy, self.critic = Policy(obs, act), TwinQ(obs, act)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = torch.zeros((), requires_grad=True)
        self.pi_opt = torch.optim.Adam(self.policy.parameters(), lr=1e-3)
        self.q_opt = torch.optim.Adam(self.critic.parameters(), lr=1e-3)
        self.alpha_opt = torch.optim.Adam([self.log_alpha], lr=1e-3)

    def update(self, o, a, r, o2):
        alpha = self.log_alpha.exp().item()
        with torch.no_grad():
            a2, logp2 = self.policy(o2)
            target = r + 0.9 * (torch.min(*self.critic_target(o2, a2)) - alpha * logp2)
        q1, q2 = self.critic(o, a)
        q_loss = F.mse_loss(q1, target) + F.mse_loss(q2, target)
        self.q_opt.zero_grad()
        q_loss.backward()
        self.q_opt.step()

        new_a, logp = self.policy(o)
        pi_loss = (alpha * logp - torch.min(*self.critic(o, new_a))).mean()
        self.pi_opt.zero_grad()
        pi_loss.backward()
        self.pi_opt.step()

        alpha_loss = -(self.log_alpha * (logp - 2.0).detach()).mean()
        self.alpha_opt.zero_grad()
        alpha_loss.backward()
        self.alpha_opt.step()

        with torch.no_grad():
            for t, p in zip(self.critic_target.parameters(), self.critic.parameters()):
                t.lerp_(p, 0.02)
        return q_loss.item(), pi_loss.item(), alpha


torch.manual_seed(211)
agent, memory = SAC(), ReplayBuffer(5, 2)
for step in range(6):
    print("%d q %.4f pi %.4f alpha %.4f" % (step, *agent.update(*memory.sample(24))))
