import pickle
import torch
from torch import nn


class ActorCritic(nn.Module):
    def __init__(self, obs=4, actions=2):
        super().__init__()
        self.body = nn.Linear(obs, 24)
        self.policy, self.value = nn.Linear(24, actions), nn.Linear(24, 1)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return self.policy(h), self.value(h).squeeze(-1)


class Worker:
    """Gets the current model as a message, computes the loss of one rollout."""

    def __init__(self, message):
        self.model = pickle.loads(message)

    def rollout(self, length=12):
        state, logps, values, rewards, entropy = torch.randn(4), [], [], [], 0.0
        for _ in range(length):
            logits, v = self.model(state)
            dist = torch.distributions.Categorical(logits=logits)
            a = dist.sample()
            rewards.append(float(state[0] > 0) * float(a == 1) + float(state[0] <= 0) * float(a == 0))
            logps.append(dist.log_prob(a))
            values.append(v)
            entropy = entropy + dist.entropy()
            state = 0.8 * state + 0.5 * torch.randn(4)
        returns, R = [], 0.0
        for r in reversed(rewards):
            R = r + 0.9 * R
            returns.insert(0, R)
        values, adv = torch.stack(values), torch.tensor(returns) - torch.stack(values)
        loss = -(torch.stack(logps) * adv.detach()).mean() + 0.5 * adv.pow(2).mean() - 0.01 * entropy / length
        return loss, sum(rewards)
