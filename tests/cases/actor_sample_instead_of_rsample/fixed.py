import collections
import random
import torch
import torch.nn as nn
from torch.distributions import Normal

Transition = collections.namedtuple("Transition", "obs act rew nxt")


def mlp(*sizes, act=nn.ReLU):
    layers = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


class PointMass:
    def reset(self):
        self.x = torch.randn(2)
        return self.x

    def step(self, a):
        self.x = self.x + 0.1 * a.clamp(-1, 1)
        return self.x, -self.x.norm()


class Agent:
    def __init__(self, gamma=0.95):
        self.gamma = gamma
        self.actor = mlp(2, 32, 32, 4)
        self.critic = mlp(4, 32, 32, 1)
        self.actor_opt = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.critic_opt = torch.optim.Adam(self.critic.parameters(), lr=3e-3)

    def policy(self, obs):
        mu, log_std = self.actor(obs).chunk(2, -1)
        return Normal(mu, log_std.clamp(-3, 1).exp())

    def q(self, obs, act):
        return self.critic(torch.cat([obs, act], -1)).squeeze(-1)

    def update(self, b):
        with torch.no_grad():
            target = b.rew + self.gamma * self.q(b.nxt, self.policy(b.nxt).sample())
        critic_loss = nn.functional.mse_loss(self.q(b.obs, b.act), target)
        self.critic_opt.zero_grad()
        critic_loss.backward()
        self.critic_opt.step()

        act = self.policy(b.obs).rsample()
        actor_loss = -self.q(b.obs, act).mean()
        self.actor_opt.zero_grad()
        actor_loss.backward()
        self.actor_opt.step()
        return critic_loss.item(), actor_loss.item()


random.seed(15)
torch.manual_seed(15)
agent, env, memory = Agent(), PointMass(), collections.deque(maxlen=500)
obs = env.reset()
for t in range(120):
    with torch.no_grad():
        act = agent.policy(obs).sample()
    nxt, rew = env.step(act)
    memory.append(Transition(obs, act, rew, nxt))
    obs = env.reset() if t % 20 == 19 else nxt
    if len(memory) >= 48 and t % 6 == 0:
        batch = Transition(*(torch.stack(f) for f in zip(*random.sample(memory, 32))))
        print(t, "critic %.4f actor %.4f" % agent.update(batch))
