import copy

import torch
from torch import nn
from torch.distributions import Categorical


class PolicyValue(nn.Module):
    def __init__(self, obs=4, actions=3):
        super().__init__()
        self.torso = nn.Sequential(nn.Linear(obs, 24), nn.Tanh())
        self.logits = nn.Linear(24, actions)
        self.value = nn.Linear(24, 1)

    def forward(self, x):
        h = self.torso(x)
        return Categorical(logits=self.logits(h)), self.value(h).squeeze(-1)


class Worker:
    def __init__(self, shared, seed):
        self.net = copy.deepcopy(shared)
        self.rng = torch.Generator().manual_seed(seed)

    def rollout_loss(self):
        obs = torch.randn(16, 4, generator=self.rng)
        dist, value = self.net(obs)
        action = dist.logits.argmax(1)
        ret = obs.sum(1) * 0.3 + action.float()
        adv = ret - value
        return -(dist.log_prob(action) * adv.detach()).mean() + 0.5 * adv.pow(2).mean() - 0.01 * dist.entropy().mean()


torch.manual_seed(69)
shared_net = PolicyValue()
optimizer = torch.optim.RMSprop(shared_net.parameters(), lr=7e-4)
workers = [Worker(shared_net, s) for s in range(2)]

for t in range(4):
    for k, worker in enumerate(workers):
        worker.net.load_state_dict(shared_net.state_dict())
        loss = worker.rollout_loss()
        optimizer.zero_grad()
        worker.net.zero_grad()
        loss.backward()
        for shared_p, local_p in zip(shared_net.parameters(), worker.net.parameters()):
            shared_p.grad = local_p.grad.clone()
        optimizer.step()
        print(f"t={t} worker={k} loss={loss.item():.4f}")
