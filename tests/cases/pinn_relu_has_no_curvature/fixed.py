import math

import torch
from torch import nn


def mlp(*sizes, act):
    layers = []
    for a, b in zip(sizes[:-2], sizes[1:-1]):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def derivative(y, x):
    return torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)[0]


def source(x):
    return math.pi**2 * torch.sin(math.pi * x)


def residual(u_net, k_net, x):
    """-k(x) u_xx = f(x): identify k from measurements of u."""
    x = x.requires_grad_(True)
    u_x = derivative(u_net(x), x)
    u_xx = derivative(u_x, x)
    k = nn.functional.softplus(k_net(x))
    return -k * u_xx - source(x)


torch.manual_seed(16)
u_net = mlp(1, 32, 32, 1, act=nn.Tanh)
k_net = mlp(1, 16, 1, act=nn.Tanh)
optimizer = torch.optim.Adam(
    [{"params": u_net.parameters(), "lr": 2e-3}, {"params": k_net.parameters(), "lr": 1e-2}]
)
x_obs = torch.linspace(-1, 1, 40)[:, None]
u_obs = torch.sin(math.pi * x_obs) / 1.5

for it in range(30):
    x_col = 2 * torch.rand(64, 1) - 1
    pde = residual(u_net, k_net, x_col).pow(2).mean()
    data = (u_net(x_obs) - u_obs).pow(2).mean()
    loss = data + 1e-2 * pde
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if it % 10 == 0:
        with torch.no_grad():
            k_mean = nn.functional.softplus(k_net(x_obs)).mean().item()
        print(f"it {it} data {data.item():.4f} pde {pde.item():.4f} k {k_mean:.3f}")
