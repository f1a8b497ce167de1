import torch
from torch import nn
from simulator import rollout

torch.manual_seed(0)
stiffness_net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1), nn.Softplus())
damper = nn.Linear(2, 1)
opt = torch.optim.Adam([*stiffness_net.parameters(), *damper.parameters()], lr=1e-3)

for it in range(6):
    material = torch.rand(16, 2)
    k = 300 * stiffness_net(material).squeeze(1)
    c = torch.sigmoid(damper(material)).squeeze(1)
    x0 = torch.rand(16) + 0.5
    path = rollout(x0, k, c, steps=60)
    target = 0.5 * x0[:, None] * torch.ones(60)
    loss = (path - target).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"iteration {it} loss {loss.item():.4e}")
