import random
from collections import deque

import torch
from torch import nn

random.seed(213)
torch.manual_seed(213)


def q_net():
    return nn.Sequential(nn.Linear(3, 24), nn.ReLU(), nn.Linear(24, 3))


policy_net, target_net = q_net(), q_net()
target_net.load_state_dict(policy_net.state_dict())
target_net.eval()
optimizer = torch.optim.RMSprop(policy_net.parameters(), lr=1e-3)
memory = deque(maxlen=100)
state, eps = torch.randn(3), 0.5

for t in range(40):
    if random.random() < eps:
        action = random.randrange(3)
    else:
        with torch.no_grad():
            action = int(policy_net(state).argmax())
    nxt = 0.8 * state + 0.2 * torch.randn(3)
    memory.append((state, action, float(state[action]), nxt))
    state = nxt
    if len(memory) < 16 or t % 4:
        continue
    batch = random.sample(list(memory), 16)
    s, s2 = torch.stack([b[0] for b in batch]), torch.stack([b[3] for b in batch])
    a, r = torch.tensor([b[1] for b in batch]), torch.tensor([b[2] for b in batch])
    q = policy_net(s).gather(1, a.unsqueeze(1)).squeeze(1)
    goal = r + 0.9 * target_net(s2).max(1).values.detach()
    loss = nn.functional.smooth_l1_loss(q, goal)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(policy_net.parameters(), 1.0)
    optimizer.step()
    if t % 12 == 0:
        target_net.load_state_dict(policy_net.state_dict())
    print(f"t={t} loss={loss.item():.4f} target={goal.mean().item():+.4f}")
