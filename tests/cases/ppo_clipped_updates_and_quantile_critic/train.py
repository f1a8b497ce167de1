import torch
from torch import nn

CFG = {"clip": 0.2, "epochs": 4, "lr": 3e-3, "log_std_bounds": (-5.0, 2.0)}


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.mu = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 1))
        self.log_std = nn.Parameter(torch.zeros(1))

    def forward(self, s):
        lo, hi = CFG["log_std_bounds"]
        return torch.distributions.Normal(self.mu(s).squeeze(-1), self.log_std.clamp(lo, hi).exp())


class Critic(nn.Module):
    def __init__(self, quantiles=5):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, quantiles))
        self.register_buffer("tau", (torch.arange(quantiles) + 0.5) / quantiles)

    def loss(self, s, ret):
        d = ret[:, None] - self.net(s)
        return torch.maximum(self.tau * d, (self.tau - 1) * d).mean()


torch.manual_seed(0)
actor, critic = Actor(), Critic()
opt_a, opt_c = (torch.optim.Adam(m.parameters(), lr=CFG["lr"]) for m in (actor, critic))
for rollout in range(3):
    s = torch.randn(64, 3)
    with torch.no_grad():
        dist = actor(s)
        a = dist.sample()
        old = dist.log_prob(a)
        ret = -(a - s[:, 0]).square()
        adv = ret - critic.net(s).mean(1)
        adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    for epoch in range(CFG["epochs"]):
        ratio = (actor(s).log_prob(a) - old).exp()
        clipped = ratio.clamp(1 - CFG["clip"], 1 + CFG["clip"])
        actor_loss = -torch.min(ratio * adv, clipped * adv).mean()
        opt_a.zero_grad()
        actor_loss.backward()
        opt_a.step()
        critic_loss = critic.loss(s, ret)
        opt_c.zero_grad()
        critic_loss.backward()
        opt_c.step()
        print(rollout, epoch, actor_loss.item(), critic_loss.item(), "clipped", (ratio != clipped).float().mean().item())
