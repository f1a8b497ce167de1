import torch
from torch import nn


class Policy(nn.Module):
    def __init__(self, encoder, hidden=32, act=2, std_min=1e-4, std_max=5.0):
        super().__init__()
        self.encoder = encoder
        self.network = nn.Sequential(nn.Linear(16, hidden), nn.ReLU())
        self.mean_layer, self.std_layer = nn.Linear(hidden, act), nn.Linear(hidden, act)
        self.std_min, self.std_max = std_min, std_max

    def forward(self, obs):
        h = self.network(self.encoder(obs))
        log_std = self.std_layer(h)
        std = torch.exp(log_std.clamp(-9.0, 1.6))
        return torch.distributions.Normal(self.mean_layer(h), std)


def demos(step, n=32):
    joints = torch.randn(n, 7)
    gripper = torch.rand(n, 1)
    if step >= 3:
        gripper = gripper * 4096                         # new firmware sends encoder ticks
    obs = torch.cat([joints, gripper], -1)
    return obs, torch.tanh(joints[:, :2])


def train(policy, critic, steps=4):
    pi_opt = torch.optim.Adam(policy.parameters(), lr=3e-4)
    q_opt = torch.optim.Adam(critic.parameters(), lr=3e-4)
    for step in range(steps):
        obs, act = demos(step)
        nll = -policy(obs).log_prob(act).clamp(min=-20).mean()
        pi_opt.zero_grad()
        nll.backward()
        pi_opt.step()
        q = (critic(torch.cat([obs[:, :7], act], -1)) - act.sum(1, keepdim=True)).square().mean()
        q_opt.zero_grad()
        q.backward()
        q_opt.step()
        print(step, nll.item(), q.item())


torch.manual_seed(0)
encoder = nn.Linear(8, 16)
policy = Policy(encoder)
critic = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 1))
train(policy, critic)
