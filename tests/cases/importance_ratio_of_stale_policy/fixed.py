import torch
from torch import nn


class Learner:
    def __init__(self, obs_dim=5, act_dim=3):
        self.pi = nn.Sequential(nn.Linear(obs_dim, 32), nn.Tanh(), nn.Linear(32, act_dim))
        self.vf = nn.Linear(obs_dim, 1)
        self.pi_opt = torch.optim.SGD(self.pi.parameters(), lr=0.02)
        self.vf_opt = torch.optim.SGD(self.vf.parameters(), lr=0.02)

    def log_prob(self, obs, act):
        """of whole episodes (batch, time, ...)"""
        return -0.5 * ((act - self.pi(obs)) / 0.2).pow(2).sum((1, 2))

    def update(self, episode):
        obs, act, old_logp, ret = episode
        value = self.vf(obs).squeeze(-1)
        adv = (ret - value.detach()).mean(1)
        log_ratio = self.log_prob(obs, act) - old_logp
        log_ratio = log_ratio.clamp(-2, 2)
        ratio = torch.exp(log_ratio)
        pi_loss = -(ratio * adv).mean()
        self.pi_opt.zero_grad()
        pi_loss.backward()
        self.pi_opt.step()
        vf_loss = (value - ret).pow(2).mean()
        self.vf_opt.zero_grad()
        vf_loss.backward()
        self.vf_opt.step()
        return pi_loss.item(), vf_loss.item()


def behaviour(learner, n=12, steps=25):
    obs = torch.randn(n, steps, 5)
    with torch.no_grad():
        act = learner.pi(obs) + 0.2 * torch.randn(n, steps, 3)
        logp = learner.log_prob(obs, act)
    return obs, act, logp, act.mean(-1) - 0.2


torch.manual_seed(0)
learner = Learner()
buffer = behaviour(learner)
for it in range(8):
    pi_loss, vf_loss = learner.update(buffer)
    print(f"update {it} pi {pi_loss:.4g} vf {vf_loss:.4f}")
