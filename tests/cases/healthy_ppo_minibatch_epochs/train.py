import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(215)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(6, 32), nn.Tanh())
        self.pi, self.v = nn.Linear(32, 4), nn.Linear(32, 1)

    def forward(self, obs):
        h = self.shared(obs)
        return Categorical(logits=self.pi(h)), self.v(h).squeeze(-1)


def collect(net, n=32):
    with torch.no_grad():
        obs = torch.randn(n, 6)
        dist, value = net(obs)
        action = dist.sample()
        reward = obs[torch.arange(n), action]
        adv = reward - value
        return obs, action, dist.log_prob(action), reward, (adv - adv.mean()) / (adv.std() + 1e-6)


net = ActorCritic()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, eps=1e-5)
for rollout in range(3):
    data = collect(net)
    for epoch in range(2):
        for idx in torch.randperm(32).split(16):
            obs, action, old_logp, ret, adv = (d[idx] for d in data)
            dist, value = net(obs)
            ratio = (dist.log_prob(action) - old_logp).exp()
            pi_loss = -torch.min(ratio * adv, ratio.clamp(0.8, 1.2) * adv).mean()
            loss = pi_loss + 0.5 * (value - ret).pow(2).mean() - 0.01 * dist.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.5)
            optimizer.step()
            kl = (old_logp - dist.log_prob(action)).mean().item()
    print(f"rollout {rollout} reward {data[3].mean().item():+.3f} kl {kl:.5f}")
