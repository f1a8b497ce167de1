import copy
from collections import deque, namedtuple
import random

import torch
from torch import nn
import torch.nn.functional as F

from networks import DuelingQ

Transition = namedtuple("Transition", "obs action reward next_obs done")


class LineWorld:
    def reset(self):
        self.pos, self.t = torch.zeros(4).uniform_(-0.5, 0.5), 0
        return self.pos.clone()

    def step(self, action):
        self.t += 1
        self.pos[action % 4] += 0.3 if action < 4 else -0.3
        reward = -float(self.pos.abs().mean())
        return self.pos.clone(), reward, self.t >= 12


class Agent:
    def __init__(self, obs_dim, n_actions, lr=1e-3, gamma=0.95):
        self.online = DuelingQ(obs_dim, n_actions)
        self.target = copy.deepcopy(self.online)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=lr)
        self.gamma, self.n_actions = gamma, n_actions

    def act(self, obs, epsilon):
        if random.random() < epsilon:
            return random.randrange(self.n_actions)
        with torch.no_grad():
            return int(self.online(obs[None]).argmax(dim=1))

    def q_values(self, obs, bootstrap=True):
        net = self.target if bootstrap else self.online
        return net(obs)

    def learn(self, batch):
        q = self.q_values(batch.obs, bootstrap=False).gather(1, batch.action)
        with torch.no_grad():
            next_q = self.q_values(batch.next_obs).max(dim=1, keepdim=True).values
            goal = batch.reward + self.gamma * (1 - batch.done) * next_q
        loss = F.smooth_l1_loss(q, goal)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def sync(self):
        self.target.load_state_dict(self.online.state_dict())


def collate(samples):
    obs, action, reward, next_obs, done = zip(*samples)
    column = lambda values: torch.tensor(values, dtype=torch.float32)[:, None]
    return Transition(torch.stack(obs), torch.tensor(action)[:, None], column(reward), torch.stack(next_obs), column(done))


torch.manual_seed(0)
random.seed(0)
env, memory = LineWorld(), deque(maxlen=500)
agent = Agent(4, 8)
obs, updates = env.reset(), 0
for frame in range(160):
    action = agent.act(obs, epsilon=max(0.1, 1 - frame / 100))
    next_obs, reward, done = env.step(action)
    memory.append((obs, action, reward, next_obs, float(done)))
    obs = env.reset() if done else next_obs
    if len(memory) >= 40 and frame % 4 == 0:
        loss = agent.learn(collate(random.sample(memory, 32)))
        updates += 1
        if updates % 10 == 0:
            agent.sync()
            print(f"update {updates} td loss {loss:.4f}")
