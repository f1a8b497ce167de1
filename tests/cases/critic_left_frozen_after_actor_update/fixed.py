import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(23)


def mlp(i, o, last=None):
    layers = [nn.Linear(i, 32), nn.ReLU(), nn.Linear(32, o)]
    return nn.Sequential(*layers, *([last] if last else []))


class DDPG:
    def __init__(self, obs_dim=6, act_dim=2):
        self.actor = mlp(obs_dim, act_dim, nn.Tanh())
        self.critic = mlp(obs_dim + act_dim, 1)
        self.pi_opt = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.q_opt = torch.optim.Adam(self.critic.parameters(), lr=1e-3)
        self.offset = nn.Parameter(torch.zeros(1))
        self.q_opt.add_param_group({"params": [self.offset]})

    def q(self, o, a):
        return self.critic(torch.cat([o, a], dim=-1)).squeeze(-1) + self.offset

    def update(self, o, a, target):
        self.q_opt.zero_grad()
        loss_q = F.mse_loss(self.q(o, a), target)
        loss_q.backward()
        self.q_opt.step()

        # do not waste effort on critic gradients during the policy step
        for p in self.critic.parameters():
            p.requires_grad = False
        self.pi_opt.zero_grad()
        loss_pi = -self.q(o, self.actor(o)).mean()
        loss_pi.backward()
        self.pi_opt.step()
        for p in self.critic.parameters():
            p.requires_grad = True
        return loss_q.item(), loss_pi.item()


agent = DDPG()
for step in range(7):
    o, a = torch.randn(32, 6), torch.rand(32, 2) * 2 - 1
    r = -(o[:, :2] - a).pow(2).sum(-1)
    print(step, "q %.4f pi %.4f" % agent.update(o, a, r))
