import torch
import torch.nn as nn
import torch.optim as optim
from torch.distributions import Normal

LOG_STD_MIN, LOG_STD_MAX = 2.0, 5.0


class Actor(nn.Module):
    def __init__(self, obs_dim, act_dim):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(obs_dim, 32), nn.ReLU())
        self.mean = nn.Linear(32, act_dim)
        self.log_std = nn.Linear(32, act_dim)

    def forward(self, obs):
        h = self.trunk(obs)
        log_std = torch.clamp(self.log_std(h), LOG_STD_MIN, LOG_STD_MAX)
        return self.mean(h), log_std.exp()

    def sample(self, obs):
        mean, std = self(obs)
        dist = Normal(mean, std)
        raw = dist.rsample()
        action = torch.tanh(raw / 4)
        logp = dist.log_prob(raw).sum(-1)
        return action, logp


torch.manual_seed(2)
actor = Actor(6, 2)
critic = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
actor_opt = optim.Adam(actor.parameters(), lr=3e-4)
critic_opt = optim.Adam(critic.parameters(), lr=1e-3)
alpha = 0.1

for update in range(6):
    obs = torch.randn(48, 6)
    act = torch.rand(48, 2) * 2 - 1
    reward = -(act - obs[:, :2].tanh()).pow(2).sum(-1, keepdim=True)
    q = critic(torch.cat([obs, act], -1))
    q_loss = (q - reward).pow(2).mean()
    critic_opt.zero_grad()
    q_loss.backward()
    critic_opt.step()

    new_act, logp = actor.sample(obs)
    pi_loss = (alpha * logp - critic(torch.cat([obs, new_act], -1)).squeeze(-1)).mean()
    actor_opt.zero_grad()
    pi_loss.backward()
    actor_opt.step()
    print(f"{update} q_loss={q_loss.item():.3f} pi_loss={pi_loss.item():.3f}")
