import torch
from torch import nn
import torch.nn.functional as F


class Policy:
    def __init__(self, logits):
        self.logp = logits.log_softmax(-1)

    def log_prob(self, action):
        return self.logp.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    @property
    def entropy(self):
        return -(self.logp.exp() * self.logp).sum(-1)

    def sample(self):
        return torch.multinomial(self.logp.exp(), 1).squeeze(-1)


class LegalPolicy(Policy):
    def __init__(self, logits, legal):
        super().__init__(logits.masked_fill(~legal, float("-inf")))


def net(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 40), nn.Tanh(), nn.Linear(40, n_out))


class Agent:
    def __init__(self, cells=9):
        self.actor, self.critic = net(cells, cells), net(cells, 1)
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=3e-3)

    def update(self, board, legal, action, reward):
        value = self.critic(board).squeeze(-1)
        critic_loss = F.mse_loss(value, reward)
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()

        policy = LegalPolicy(self.actor(board), legal)
        advantage = reward - value.detach()
        actor_loss = -(policy.log_prob(action) * advantage).mean() - 0.01 * policy.entropy.mean()
        self.actor_opt.zero_grad()
        actor_loss.backward()
        self.actor_opt.step()
        return actor_loss.item(), critic_loss.item()


def positions(n=64):
    board = torch.randint(-1, 2, (n, 9)).float()
    board[:, 4] = 0
    legal = board == 0
    action = torch.multinomial(legal.float(), 1).squeeze(-1)
    reward = torch.where(action == 4, 1.0, -0.2) + 0.1 * torch.randn(n)
    return board, legal, action, reward


torch.manual_seed(3)
agent = Agent()
for i in range(8):
    print(i, *agent.update(*positions()))
