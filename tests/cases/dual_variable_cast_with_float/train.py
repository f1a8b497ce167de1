import torch
from torch import nn


class SafetyPolicy:
    """Policy with a learned Lagrange multiplier for the cost limit."""

    def __init__(self, obs=5, act=2, limit=0.2):
        self.pi = nn.Sequential(nn.Linear(obs, 32), nn.Tanh(), nn.Linear(32, act))
        self.reward_model = nn.Sequential(nn.Linear(obs + act, 32), nn.Tanh(), nn.Linear(32, 1))
        self.multiplier = nn.Parameter(torch.tensor(0.5))
        self.limit = limit
        self.pi_optimizer = torch.optim.Adam(self.pi.parameters(), lr=1e-3)
        self.rm_optimizer = torch.optim.Adam(self.reward_model.parameters(), lr=1e-3)
        self.lam_optimizer = torch.optim.SGD([self.multiplier], lr=0.05)

    def lagrangian(self, obs):
        action = self.pi(obs)
        reward = self.reward_model(torch.cat([obs, action], -1)).mean()
        cost = action.pow(2).mean()
        lam = float(nn.functional.softplus(self.multiplier))
        return -reward + lam * (cost - self.limit), cost

    def update(self, obs):
        a = torch.randn(len(obs), 2)
        fit = (self.reward_model(torch.cat([obs, a], -1)).squeeze(-1) - (obs[:, 0] * a[:, 0])).pow(2).mean()
        self.rm_optimizer.zero_grad()
        fit.backward()
        self.rm_optimizer.step()

        self.pi_optimizer.zero_grad()
        self.lam_optimizer.zero_grad()
        loss, cost = self.lagrangian(obs)
        loss.backward()
        if self.multiplier.grad is not None:
            self.multiplier.grad.neg_()      # ascent on the dual
        self.pi_optimizer.step()
        self.lam_optimizer.step()
        return loss.item(), cost.item()


torch.manual_seed(26)
agent = SafetyPolicy()
for i in range(6):
    loss, cost = agent.update(torch.randn(16, 5))
    print(f"{i} lagrangian {loss:+.4f} cost {cost:.4f} multiplier {agent.multiplier.item():.4f}")
