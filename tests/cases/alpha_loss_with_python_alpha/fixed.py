import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Normal

torch.manual_seed(5)


class Actor(nn.Module):
    def __init__(self, s, a):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(s, 32), nn.ReLU())
        self.mu, self.log_std = nn.Linear(32, a), nn.Linear(32, a)

    def evaluate(self, state):
        h = self.body(state)
        dist = Normal(self.mu(h), self.log_std(h).clamp(-5, 2).exp())
        z = dist.rsample()
        action = torch.tanh(z)
        log_prob = dist.log_prob(z) - torch.log(1 - action.pow(2) + 1e-6)
        return action, log_prob.sum(1, keepdim=True)


class Agent:
    def __init__(self, s=6, a=2):
        self.actor = Actor(s, a)
        self.critic = nn.Sequential(nn.Linear(s + a, 32), nn.ReLU(), nn.Linear(32, 1))
        self.target_entropy = -a
        self.log_alpha = nn.Parameter(torch.zeros(1))
        self.alpha = self.log_alpha.exp().item()
        self.actor_optim = torch.optim.Adam([{"params": self.actor.parameters()},
                                             {"params": [self.log_alpha], "lr": 3e-3}], lr=5e-4)
        self.critic_optim = torch.optim.Adam(self.critic.parameters(), lr=5e-4)

    def learn(self, state, action, reward, next_state):
        with torch.no_grad():
            na, nlp = self.actor.evaluate(next_state)
            target = reward + 0.99 * (self.critic(torch.cat([next_state, na], 1)) - self.alpha * nlp)
        critic_loss = F.mse_loss(self.critic(torch.cat([state, action], 1)), target)
        self.critic_optim.zero_grad()
        critic_loss.backward()
        self.critic_optim.step()

        pred, log_pis = self.actor.evaluate(state)
        self.alpha = self.log_alpha.exp().item()
        alpha_loss = -(self.log_alpha.exp() * (log_pis + self.target_entropy).detach()).mean()
        actor_loss = (self.alpha * log_pis - self.critic(torch.cat([state, pred], 1))).mean()
        self.actor_optim.zero_grad()
        (actor_loss + alpha_loss).backward()
        self.actor_optim.step()
        return critic_loss.item(), actor_loss.item(), alpha_loss.item()


agent = Agent()
for t in range(6):
    s, a = torch.randn(32, 6), torch.rand(32, 2) * 2 - 1
    logs = agent.learn(s, a, -s.pow(2).mean(1, keepdim=True), s + 0.1 * torch.randn(32, 6))
    print(t, [round(v, 3) for v in logs], "alpha", round(agent.alpha, 4))
