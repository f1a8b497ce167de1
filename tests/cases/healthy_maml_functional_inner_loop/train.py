import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(239)


def task(n=10):
    amp, phase = torch.rand(1) * 2 + 0.5, torch.rand(1) * 3
    x = torch.rand(2 * n, 1) * 6 - 3
    y = amp * torch.sin(x + phase)
    return (x[:n], y[:n]), (x[n:], y[n:])


def adapt(net, x, y, steps=2, lr=0.05):
    weights = dict(net.named_parameters())
    for _ in range(steps):
        loss = (functional_call(net, weights, (x,)) - y).pow(2).mean()
        grads = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        weights = {k: w - lr * g for (k, w), g in zip(weights.items(), grads)}
    return weights


regressor = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 1))
meta = torch.optim.Adam(regressor.parameters(), lr=2e-3)
for it in range(4):
    meta.zero_grad()
    total = 0.0
    for _ in range(3):
        (sx, sy), (qx, qy) = task()
        fast = adapt(regressor, sx, sy)
        loss = (functional_call(regressor, fast, (qx,)) - qy).pow(2).mean() / 3
        loss.backward()
        total += loss.item()
    meta.step()
    print("meta iteration", it, "query loss", f"{total:.4f}")
