import copy
import random
from collections import deque

import torch
from torch import nn
from torch.nn import functional as F

random.seed(0)
torch.manual_seed(0)
GAMMA, TAU, POLICY_DELAY = 0.97, 0.02, 3


def net(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, n_out))


actor = nn.Sequential(net(2, 1), nn.Tanh())
critics = nn.ModuleList([net(3, 1), net(3, 1)])
actor_target, critics_target = copy.deepcopy(actor), copy.deepcopy(critics)
actor_opt = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_opt = torch.optim.Adam(critics.parameters(), lr=2e-3)
memory = deque(maxlen=2000)


def env_step(state, action):
    x, v = state
    v = 0.95 * v + 0.1 * action
    x = x + v
    return (x, v), -(x * x + 0.1 * action * action)


def soft_update(target, online):
    with torch.no_grad():
        for t, p in zip(target.parameters(), online.parameters()):
            t.lerp_(p, TAU)


def both(nets, s, a):
    return [q(torch.cat([s, a], 1)) for q in nets]


state = (1.0, 0.0)
for t in range(200):
    with torch.no_grad():
        a = (actor(torch.tensor(state)[None]) + 0.3 * torch.randn(1, 1)).clamp(-1, 1).item()
    nxt, r = env_step(state, a)
    memory.append((*state, a, r, *nxt))
    state = (random.uniform(-1, 1), 0.0) if t % 25 == 24 else nxt

for update in range(1, 13):
    batch = torch.tensor(random.sample(list(memory), 64))
    s, a, r, s2 = batch[:, :2], batch[:, 2:3], batch[:, 3:4], batch[:, 4:]
    with torch.no_grad():
        noise = (0.2 * torch.randn_like(a)).clamp(-0.5, 0.5)
        a2 = (actor_target(s2) + noise).clamp(-1, 1)
        y = r + GAMMA * torch.min(*both(critics_target, s2, a2))
    critic_loss = sum(F.mse_loss(q, y) for q in both(critics, s, a))
    critic_opt.zero_grad()
    critic_loss.backward()
    critic_opt.step()
    if update % POLICY_DELAY == 0:
        actor_loss = -critics[0](torch.cat([s, actor(s)], 1)).mean()
        actor_opt.zero_grad()
        actor_loss.backward()
        actor_opt.step()
        soft_update(actor_target, actor)
        soft_update(critics_target, critics)
    print(update, f"{critic_loss.item():.4f}")
