import random
from collections import deque, namedtuple
import torch
import torch.nn as nn

random.seed(3)
torch.manual_seed(3)
Transition = namedtuple("Transition", "obs actions reward next_obs")
N_AGENTS, OBS, ACT = 3, 6, 4


class QAgent(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(OBS, 24)
        self.fc2 = nn.Linear(24, ACT)

    def forward(self, o):
        return self.fc2(torch.tanh(self.fc1(o)))


class Mixer(nn.Module):
    """Monotonic mixing of the individual values."""

    def __init__(self):
        super().__init__()
        self.w = nn.Linear(N_AGENTS * OBS, N_AGENTS)
        self.v = nn.Linear(N_AGENTS * OBS, 1)

    def forward(self, qs, state):
        return (torch.abs(self.w(state)) * qs).sum(1, keepdim=True) + self.v(state)


class Learner:
    def __init__(self):
        self.agents = [QAgent() for _ in range(N_AGENTS)]
        self.mixer = Mixer()
        self.buffer = deque(maxlen=200)
        params = list(self.mixer.parameters())
        for a in self.agents:
            params += list(a.parameters())
        self.optimiser = torch.optim.RMSprop(params, lr=5e-4)

    def chosen_values(self, t):
        values = []
        for i, agent in enumerate(self.agents):
            values.append(agent(t.obs[i])[t.actions[i]])
        return torch.FloatTensor(values)

    def greedy_values(self, t):
        with torch.no_grad():
            return torch.stack([a(t.next_obs[i]).max() for i, a in enumerate(self.agents)])

    def train(self, batch_size=16):
        batch = random.sample(self.buffer, batch_size)
        state = torch.stack([t.obs.flatten() for t in batch])
        next_state = torch.stack([t.next_obs.flatten() for t in batch])
        q_tot = self.mixer(torch.stack([self.chosen_values(t) for t in batch]), state)
        with torch.no_grad():
            target = torch.stack([t.reward for t in batch]) + 0.9 * self.mixer(
                torch.stack([self.greedy_values(t) for t in batch]), next_state)
        loss = (q_tot - target).pow(2).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()


learner = Learner()
for _ in range(60):
    actions = [random.randrange(ACT) for _ in range(N_AGENTS)]
    learner.buffer.append(Transition(torch.randn(N_AGENTS, OBS), actions, torch.rand(1), torch.randn(N_AGENTS, OBS)))
for update in range(4):
    print("update", update, "td loss", round(learner.train(), 4))
