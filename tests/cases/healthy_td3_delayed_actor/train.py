import copy

import torch
from torch import nn
import torch.nn.functional as F


class TD3:
    def __init__(self, policy_delay=3):
        self.actor = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 2), nn.Tanh())
        self.q1 = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
        self.q2 = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
        self.targets = {k: copy.deepcopy(getattr(self, k)) for k in ("actor", "q1", "q2")}
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.q_opt = torch.optim.Adam([*self.q1.parameters(), *self.q2.parameters()], lr=1e-3)
        self.delay, self.updates = policy_delay, 0

    def update(self, s, a, r, s2):
        self.updates += 1
        with torch.no_grad():
            a2 = (self.targets["actor"](s2) + 0.1 * torch.randn(len(s2), 2)).clamp(-1, 1)
            sa2 = torch.cat([s2, a2], -1)
            y = r + 0.9 * torch.min(self.targets["q1"](sa2), self.targets["q2"](sa2))
        sa = torch.cat([s, a], -1)
        q_loss = F.mse_loss(self.q1(sa), y) + F.mse_loss(self.q2(sa), y)
        self.q_opt.zero_grad()
        q_loss.backward()
        self.q_opt.step()
        if self.updates % self.delay:
            return q_loss.item(), None
        pi_loss = -self.q1(torch.cat([s, self.actor(s)], -1)).mean()
        self.actor_opt.zero_grad()
        pi_loss.backward()
        self.actor_opt.step()
        for k, t in self.targets.items():
            for pt, p in zip(t.parameters(), getattr(self, k).parameters()):
                pt.data.copy_(0.95 * pt.data + 0.05 * p.data)
        return q_loss.item(), pi_loss.item()


torch.manual_seed(259)
td3 = TD3()
for i in range(9):
    s, a = torch.randn(32, 4), torch.rand(32, 2) * 2 - 1
    r = -(s[:, :2] - a).pow(2).sum(-1, keepdim=True)
    print("update", i, "q %.4f" % (out := td3.update(s, a, r, s + 0.1 * torch.randn_like(s)))[0], "pi", out[1])
