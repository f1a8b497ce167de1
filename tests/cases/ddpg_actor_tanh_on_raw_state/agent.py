import copy
import torch
from torch import nn


class Actor(nn.Module):
    def __init__(self, state_dim, action_dim):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(state_dim, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.mu = nn.Linear(64, action_dim)

    def forward(self, s):
        return torch.tanh(self.mu(self.body(s)))


class Critic(nn.Module):
    def __init__(self, state_dim, action_dim):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(state_dim + action_dim, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, s, a):
        return self.net(torch.cat([s / 100000 - 1, a], -1))


class DDPG:
    def __init__(self, state_dim, action_dim, gamma=0.9, tau=0.01):
        self.actor, self.critic = Actor(state_dim, action_dim), Critic(state_dim, action_dim)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=1e-4)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=1e-3)
        self.gamma, self.tau = gamma, tau

    def update(self, batch):
        s, a, r, s2 = batch
        with torch.no_grad():
            target = r + self.gamma * self.target_critic(s2, self.target_actor(s2))
        critic_loss = (self.critic(s, a) - target).pow(2).mean()
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()

        actor_loss = -self.critic(s, self.actor(s)).mean()
        self.actor_opt.zero_grad()
        actor_loss.backward()
        self.actor_opt.step()
        for net, tgt in ((self.actor, self.target_actor), (self.critic, self.target_critic)):
            for p, q in zip(net.parameters(), tgt.parameters()):
                q.data.lerp_(p.data, self.tau)
        return {"critic": critic_loss.item(), "actor": actor_loss.item()}
