import torch
from torch import nn
from torch.distributions import Normal


class Agent:
    def __init__(self, obs_dim=8, act_dim=6):
        self.pi = nn.Sequential(nn.Linear(obs_dim, 32), nn.Tanh(), nn.Linear(32, act_dim))
        self.vf = nn.Sequential(nn.Linear(obs_dim, 32), nn.Tanh(), nn.Linear(32, 1))
        self.std = 2.0
        self.pi_opt = torch.optim.Adam(self.pi.parameters(), lr=3e-4)
        self.vf_opt = torch.optim.Adam(self.vf.parameters(), lr=1e-3)

    def log_prob(self, obs, act):
        return Normal(self.pi(obs), self.std).log_prob(act)

    @torch.no_grad()
    def collect(self, n):
        obs = torch.randn(n, 8)
        act = Normal(self.pi(obs), self.std).sample()
        logp = self.log_prob(obs, act).mean(-1)
        ret = -(act - obs[:, :6]).abs().sum(-1)
        return obs, act, logp, ret

    def update(self, obs, act, logp_old, ret, clip=0.2):
        value = self.vf(obs).squeeze(-1)
        adv = ret - value.detach()
        adv = (adv - adv.mean()) / adv.std()
        ratio = torch.exp(self.log_prob(obs, act).sum(-1) - logp_old)
        clipped = torch.clamp(ratio, 1 - clip, 1 + clip)
        pi_loss = -(clipped * adv).mean()
        self.pi_opt.zero_grad()
        pi_loss.backward()
        self.pi_opt.step()

        vf_loss = (value - ret).pow(2).mean()
        self.vf_opt.zero_grad()
        vf_loss.backward()
        self.vf_opt.step()
        return pi_loss.item(), vf_loss.item()


if __name__ == "__main__":
    torch.manual_seed(0)
    agent = Agent()
    for iteration in range(4):
        rollout = agent.collect(128)
        for _ in range(2):
            pi_loss, vf_loss = agent.update(*rollout)
        print(f"iteration {iteration}: pi {pi_loss:+.4f} vf {vf_loss:.3f}")
