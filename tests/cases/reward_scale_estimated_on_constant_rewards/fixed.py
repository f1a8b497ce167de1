import torch
from torch import nn

torch.manual_seed(0)


class RewardNormalizer:
    """mean and scale from the random warm-up steps, then frozen"""

    def __init__(self, warmup):
        self.warmup, self.seen = warmup, []
        self.mean, self.scale = 0.0, 1.0

    def __call__(self, r):
        if len(self.seen) < self.warmup:
            self.seen.append(r)
            stats = torch.cat(self.seen)
            self.mean, self.scale = stats.mean(), stats.std().clamp(min=0.1)
            return torch.zeros_like(r)
        return (r - self.mean) / self.scale


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
        self.critic = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))


def cartpole(step, n=64):
    obs = torch.randn(n, 4)
    reward = torch.full((n,), 0.5)                       # +0.5 for every surviving step ...
    if step >= 3:
        reward = reward - (obs[:, 2].abs() > 1.5).float()   # ... the first falls come later
    return obs, torch.randint(0, 2, (n,)), reward


ac, normalise = ActorCritic(), RewardNormalizer(warmup=3)
actor_opt = torch.optim.Adam(ac.actor.parameters(), lr=1e-3)
critic_opt = torch.optim.Adam(ac.critic.parameters(), lr=1e-3)
for step in range(8):
    obs, act, reward = cartpole(step)
    target = normalise(reward)
    value = ac.critic(obs).squeeze(-1)
    critic_loss = (value - target).square().mean()
    critic_opt.zero_grad()
    critic_loss.backward()
    critic_opt.step()
    adv = (target - value).detach().clamp(-3, 3)
    logp = ac.actor(obs).log_softmax(-1)[torch.arange(64), act]
    actor_loss = -(adv * logp).mean()
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
    print(step, f"{critic_loss.item():.3e}", f"{actor_loss.item():.3f}")
