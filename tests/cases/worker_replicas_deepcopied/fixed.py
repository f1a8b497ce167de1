import copy
import torch
from torch import nn
from torch.distributions import Normal


class GaussianPolicy(nn.Module):
    def __init__(self, obs, act):
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(obs, 32), nn.Tanh(), nn.Linear(32, act))
        self.log_std = nn.Parameter(torch.full((act,), -0.5))

    def forward(self, obs):
        return Normal(self.mean(obs), self.log_std.exp())


class Worker:
    def __init__(self, rank, policy):
        self.rank = rank
        self.source = policy
        self.generator = torch.Generator().manual_seed(100 + rank)

    def sync(self):
        self.policy = self.source

    def rollout(self, n=24):
        obs = torch.randn(n, 3, generator=self.generator)
        with torch.no_grad():
            act = self.policy(obs).sample()
        reward = -(act.squeeze(-1) - obs.sum(-1)).square()
        return obs, act, reward

    def losses(self, baseline):
        obs, act, reward = self.rollout()
        value = baseline(obs).squeeze(-1)
        advantage = reward - value.detach()
        log_prob = self.policy(obs).log_prob(act).sum(-1)
        return -(log_prob * advantage).mean(), (value - reward).square().mean()


def train(policy, baseline, n_workers=3, updates=8):
    optimizer = torch.optim.RMSprop([*policy.parameters(), *baseline.parameters()], lr=2e-3)
    workers = [Worker(r, policy) for r in range(n_workers)]
    for update in range(updates):
        optimizer.zero_grad()
        for worker in workers:
            worker.sync()
            actor_loss, critic_loss = worker.losses(baseline)
            ((actor_loss + 0.5 * critic_loss) / n_workers).backward()
        optimizer.step()
        print(f"update {update}: value loss {critic_loss.item():.3f}")


torch.manual_seed(12)
policy = GaussianPolicy(3, 1)
baseline = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))
train(policy, baseline)
