import copy
import random

import torch
from torch import nn

torch.manual_seed(159)
random.seed(159)


class QNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, s):
        return self.layers(s)


class DoubleDQN:
    def __init__(self, sync_every=1):
        self.online = QNetwork()
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=1e-3)
        self.sync_every, self.t = sync_every, 0

    def sync(self):
        self.online.load_state_dict(self.target.state_dict())

    def update(self, s, a, r, s2):
        q = self.online(s).gather(1, a[:, None]).squeeze(1)
        with torch.no_grad():
            best = self.online(s2).argmax(1, keepdim=True)
            goal = r + 0.95 * self.target(s2).gather(1, best).squeeze(1)
        loss = nn.functional.smooth_l1_loss(q, goal)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.t += 1
        if self.t % self.sync_every == 0:
            self.sync()
        return loss.item()


agent = DoubleDQN()
for step in range(6):
    s = torch.randn(20, 4)
    a = torch.tensor([random.randrange(2) for _ in range(20)])
    print("step", step, "td", f"{agent.update(s, a, s[:, 0] * a, torch.randn(20, 4)):.4f}")
