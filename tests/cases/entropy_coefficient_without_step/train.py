import torch
from torch import nn
from torch.distributions import Normal


class Actor(nn.Module):
    def __init__(self, obs=5, act=2):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs, 32), nn.ReLU())
        self.mean, self.log_std = nn.Linear(32, act), nn.Linear(32, act)

    def forward(self, obs):
        h = self.body(obs)
        dist = Normal(self.mean(h), self.log_std(h).clamp(-4, 1).exp())
        action = dist.rsample()
        return action, dist.log_prob(action).sum(-1)


class SoftAgent:
    def __init__(self):
        self.actor = Actor()
        self.critic = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 1))
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.actor_optim = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.critic_optim = torch.optim.Adam(self.critic.parameters(), lr=1e-3)
        self.alpha_optim = torch.optim.Adam([self.log_alpha], lr=1e-2)
        self.target_entropy = -2.0

    def learn(self, obs, act, rew):
        q = self.critic(torch.cat([obs, act], -1)).squeeze(-1)
        critic_loss = (q - rew).pow(2).mean()
        self.critic_optim.zero_grad()
        critic_loss.backward()
        self.critic_optim.step()

        new_act, logp = self.actor(obs)
        q_pi = self.critic(torch.cat([obs, new_act], -1)).squeeze(-1)
        actor_loss = (self.log_alpha.exp().detach() * logp - q_pi).mean()
        self.actor_optim.zero_grad()
        actor_loss.backward()
        self.actor_optim.step()

        alpha_loss = -(self.log_alpha * (logp.detach() + self.target_entropy)).mean()
        self.alpha_optim.zero_grad()
        alpha_loss.backward()
        return critic_loss.item(), actor_loss.item(), self.log_alpha.exp().item()


torch.manual_seed(117)
agent = SoftAgent()
for step in range(5):
    obs, act = torch.randn(24, 5), torch.randn(24, 2)
    print(step, "q %.4f pi %.4f alpha %.4f" % agent.learn(obs, act, -act.pow(2).sum(-1)))
