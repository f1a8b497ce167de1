import torch
from torch import nn
from collections import namedtuple

Rollout = namedtuple("Rollout", "obs legal action ret")


class MaskedPolicy:
    def __init__(self, logits, legal):
        self.logp = torch.log_softmax(logits.masked_fill(~legal, -torch.inf), dim=-1)

    @property
    def probs(self):
        return self.logp.exp()

    def sample(self):
        return torch.multinomial(self.probs.detach(), 1).squeeze(-1)

    def log_prob(self, action):
        return self.logp.gather(-1, action[:, None]).squeeze(-1)

    def entropy(self):
        return -(self.probs * self.logp).sum(-1)


class Warehouse:
    """Four shelves; taking from an empty shelf is not allowed."""

    def __init__(self, n_envs, stock):
        self.stock = torch.full((n_envs, 4), float(stock))

    def observe(self):
        return self.stock / 10.0, self.stock > 0

    def step(self, action):
        value = torch.tensor([1.0, 0.5, 0.2, 0.1])[action]
        self.stock[torch.arange(len(action)), action] -= 1
        return value


class Agent:
    def __init__(self, lr=1e-2):
        self.actor = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 4))
        self.critic = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 1))
        self.opt = torch.optim.Adam([*self.actor.parameters(), *self.critic.parameters()], lr=lr)

    def act(self, obs, legal):
        with torch.no_grad():
            return MaskedPolicy(self.actor(obs).nan_to_num(), legal).sample()

    def update(self, batch):
        pi = MaskedPolicy(self.actor(batch.obs), batch.legal)
        value = self.critic(batch.obs).squeeze(-1)
        advantage = (batch.ret - value).detach()
        pg = -(pi.log_prob(batch.action) * advantage).mean()
        vf = (value - batch.ret).pow(2).mean()
        loss = pg + 0.5 * vf - 0.01 * pi.entropy().mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item(), vf.item()


torch.manual_seed(0)
env, agent = Warehouse(32, stock=3), Agent()
for step in range(8):
    obs, legal = env.observe()
    obs = obs.clone()
    action = agent.act(obs, legal)
    batch = Rollout(obs, legal, action, env.step(action))
    loss, vf = agent.update(batch)
    print(f"{step}: loss {loss:.3f} value loss {vf:.3f}")
