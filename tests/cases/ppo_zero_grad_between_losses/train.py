import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(28)
CLIP, GAMMA, LAMBDA = 0.2, 0.98, 0.95


def corridor(policy, steps=64, size=7):
    pos = size // 2
    for _ in range(steps):
        obs = torch.nn.functional.one_hot(torch.tensor(pos), size).float()
        with torch.no_grad():
            dist = Categorical(logits=policy(obs))
            a = dist.sample()
        pos = pos + 2 * int(a) - 1
        over = pos in (0, size - 1)
        yield obs, a, dist.log_prob(a), float(pos == size - 1), float(over)
        if over:
            pos = size // 2


def gae(rewards, values, dones):
    out, running = torch.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards) - 1)):
        delta = rewards[t] + GAMMA * values[t + 1] * (1 - dones[t]) - values[t]
        running = delta + GAMMA * LAMBDA * (1 - dones[t]) * running
        out[t] = running
    return out


actor = nn.Sequential(nn.Linear(7, 24), nn.Tanh(), nn.Linear(24, 2))
critic = nn.Sequential(nn.Linear(7, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.Adam([{"params": actor.parameters(), "lr": 3e-3},
                              {"params": critic.parameters(), "lr": 1e-2}])

for update in range(4):
    obs, act, old_logp, rew, done = (torch.stack([torch.as_tensor(v) for v in col])
                                     for col in zip(*corridor(actor)))
    with torch.no_grad():
        value = critic(obs).squeeze(-1)
        adv = gae(rew, value, done)
        returns = adv + value
        adv = (adv - adv.mean()) / (adv.std() + 1e-6)
    for epoch in range(3):
        ratio = (Categorical(logits=actor(obs)).log_prob(act) - old_logp).exp()
        policy_loss = -torch.min(ratio * adv, ratio.clamp(1 - CLIP, 1 + CLIP) * adv).mean()
        policy_loss.backward()

        optimizer.zero_grad()
        value_loss = (critic(obs).squeeze(-1) - returns).square().mean()
        value_loss.backward()
        optimizer.step()
    print(f"update {update}: reward {rew.sum().item():.0f} policy {policy_loss.item():.4f} value {value_loss.item():.4f}")
