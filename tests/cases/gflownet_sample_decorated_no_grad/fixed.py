from dataclasses import dataclass
import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(21)


@dataclass
class Config:
    dim: int = 3
    horizon: int = 4
    hidden: int = 32
    batch: int = 24
    lr: float = 1e-3
    lr_z: float = 1e-1


def policy(cfg):
    return nn.Sequential(nn.Linear(cfg.dim, cfg.hidden), nn.LeakyReLU(), nn.Linear(cfg.hidden, cfg.dim))


class GFlowNetAgent:
    def __init__(self, cfg):
        self.cfg = cfg
        self.forward_policy = policy(cfg)
        self.backward_policy = policy(cfg)
        self.logZ = nn.Parameter(torch.zeros(1))
        self.opt = torch.optim.Adam([
            {"params": self.forward_policy.parameters()},
            {"params": self.backward_policy.parameters()},
            {"params": [self.logZ], "lr": cfg.lr_z},
        ], lr=cfg.lr)

    def log_reward(self, x):
        return -((x - 1.5) ** 2).sum(-1) * 0.3

    def sample_batch(self):
        state = torch.zeros(self.cfg.batch, self.cfg.dim)
        states, actions, logp = [state], [], 0.0
        for _ in range(self.cfg.horizon):
            dist = Categorical(logits=self.forward_policy(state))
            action = dist.sample()
            logp = logp + dist.log_prob(action)
            state = state + nn.functional.one_hot(action, self.cfg.dim)
            states.append(state)
            actions.append(action)
        return states, actions, logp

    def backward_logprobs(self, states, actions):
        total = 0.0
        for nxt, action in zip(states[1:], actions):
            logits = self.backward_policy(nxt).masked_fill(nxt <= 0, -1e9)
            total = total + Categorical(logits=logits).log_prob(action)
        return total

    def trajectorybalance_loss(self):
        states, actions, logp_f = self.sample_batch()
        logp_b = self.backward_logprobs(states, actions)
        return (self.logZ + logp_f - logp_b - self.log_reward(states[-1])).pow(2).mean()

    def train(self, iters):
        for it in range(iters):
            loss = self.trajectorybalance_loss()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            print(f"iter {it} loss {loss.item():.3f} logZ {self.logZ.item():.2f}")


agent = GFlowNetAgent(Config())
agent.train(5)
