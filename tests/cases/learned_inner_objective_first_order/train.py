# %% [markdown]
# Learning an inner objective for few-shot regression
# %%
import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(5)
INNER_LR, INNER_STEPS, TASKS = 0.1, 2, 8

# %%
regressor = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))


class Objective(nn.Module):
    """maps (prediction, target) to a scalar; replaces the squared error in the inner loop"""

    def __init__(self, hidden=16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, hidden), nn.SiLU(), nn.Linear(hidden, 1), nn.Softplus())

    def forward(self, pred, target):
        return self.net(torch.cat([pred, target], dim=-1)).mean()


objective = Objective()
outer = torch.optim.Adam([{"params": regressor.parameters(), "lr": 1e-3},
                          {"params": objective.parameters(), "lr": 3e-3}])


# %%
def sine_task(k=10):
    amp, phase = 0.5 + 2 * torch.rand(1), 3.14 * torch.rand(1)
    x = 6 * torch.rand(2 * k, 1) - 3
    y = amp * torch.sin(x + phase)
    return (x[:k], y[:k]), (x[k:], y[k:])


def adapt(support):
    x, y = support
    fast = dict(regressor.named_parameters())
    for _ in range(INNER_STEPS):
        inner = objective(functional_call(regressor, fast, (x,)), y)
        grads = torch.autograd.grad(inner, tuple(fast.values()))
        fast = {name: w - INNER_LR * g for (name, w), g in zip(fast.items(), grads)}
    return fast


# %%
for epoch in range(8):
    outer.zero_grad()
    query_loss = 0.0
    for _ in range(TASKS):
        support, (xq, yq) = sine_task()
        fast = adapt(support)
        query_loss = query_loss + (functional_call(regressor, fast, (xq,)) - yq).pow(2).mean()
    query_loss = query_loss / TASKS
    query_loss.backward()
    nn.utils.clip_grad_norm_(list(regressor.parameters()) + list(objective.parameters()), 5.0)
    outer.step()
    print(f"epoch {epoch} query mse {query_loss.item():.4f}")
