import torch
from torch import nn

torch.manual_seed(0)
LOG_STD_MIN, LOG_STD_MAX = -5, 2


class GaussianPolicy(nn.Module):
    def __init__(self, obs_dim, act_dim, init_std=20.0):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(obs_dim, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.mean = nn.Linear(32, act_dim)
        self.log_std = nn.Linear(32, act_dim)
        # start with a very wide policy: explore first
        nn.init.normal_(self.log_std.weight, std=0.01)
        nn.init.constant_(self.log_std.bias, float(torch.log(torch.tensor(init_std))))

    def forward(self, obs):
        h = self.trunk(obs)
        log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(self.log_std(h)) + 1)
        std = log_std.exp()
        u = self.mean(h) + std * torch.randn_like(std)
        a = torch.tanh(u)
        logp = (-0.5 * ((u - self.mean(h)) / std) ** 2 - log_std).sum(-1)
        logp = logp - torch.log(1 - a.pow(2) + 1e-6).sum(-1)
        return a, logp


policy = GaussianPolicy(5, 2)
q1, q2 = (nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 1)) for _ in range(2))
pi_opt = torch.optim.Adam(policy.parameters(), lr=3e-4)
q_opt = torch.optim.Adam([*q1.parameters(), *q2.parameters()], lr=1e-3)

for step in range(6):
    obs, act = torch.randn(64, 5), torch.rand(64, 2) * 2 - 1
    reward = -(act - obs[:, :2].tanh()).pow(2).sum(-1, keepdim=True)
    oa = torch.cat([obs, act], -1)
    q_loss = (q1(oa) - reward).pow(2).mean() + (q2(oa) - reward).pow(2).mean()
    q_opt.zero_grad()
    q_loss.backward()
    q_opt.step()

    a, logp = policy(obs)
    oa = torch.cat([obs, a], -1)
    pi_loss = (0.2 * logp - torch.min(q1(oa), q2(oa)).squeeze(-1)).mean()
    pi_opt.zero_grad()
    pi_loss.backward()
    pi_opt.step()
    print(step, q_loss.item(), pi_loss.item())
