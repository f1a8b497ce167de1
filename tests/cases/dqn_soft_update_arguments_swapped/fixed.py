import copy
import torch
from torch import nn


def soft_update(source, destination, tau):
    with torch.no_grad():
        for s, d in zip(source.parameters(), destination.parameters()):
            d.copy_(tau * s + (1.0 - tau) * d)


class Dueling(nn.Module):
    def __init__(self, n_obs, n_act):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_obs, 32), nn.ReLU())
        self.value = nn.Linear(32, 1)
        self.adv = nn.Linear(32, n_act)

    def forward(self, obs):
        h = self.body(obs)
        a = self.adv(h)
        return self.value(h) + a - a.mean(-1, keepdim=True)


class DQN:
    def __init__(self, n_obs, n_act, gamma=0.9, tau=1.0):
        self.online = Dueling(n_obs, n_act)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.gamma, self.tau = gamma, tau
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=2e-3)

    def learn(self, obs, act, rew, nxt, done):
        q = self.online(obs).gather(1, act[:, None]).squeeze(1)
        with torch.no_grad():
            best = self.online(nxt).argmax(1, keepdim=True)
            y = rew + self.gamma * (1 - done) * self.target(nxt).gather(1, best).squeeze(1)
        loss = nn.functional.smooth_l1_loss(q, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        soft_update(self.online, self.target, self.tau)
        return loss.item()


def chain_world(n, n_obs=6):
    state = torch.randint(n_obs - 1, (n,))
    act = torch.randint(2, (n,))
    nxt = (state + 2 * act - 1).clamp(min=0)
    done = (nxt == n_obs - 1).float()
    onehot = torch.eye(n_obs)
    return onehot[state], act, done - 0.01, onehot[nxt], done


torch.manual_seed(25)
dqn = DQN(6, 2)
for it in range(10):
    print(it, round(dqn.learn(*chain_world(64)), 5))
