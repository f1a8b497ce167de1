import torch
from torch import nn
import torch.nn.functional as F
from torch.func import functional_call

torch.manual_seed(28)
N_TASKS = 3
net = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))


class TaskScale(nn.Module):
    """One multiplicative gate per parameter tensor and task."""

    def __init__(self, module, n_tasks):
        super().__init__()
        self.names = [n for n, _ in module.named_parameters()]
        self.gates = nn.Parameter(torch.ones(n_tasks, len(self.names)))

    def forward(self, weights, task):
        return {n: weights[n] * self.gates[task, i] for i, n in enumerate(self.names)}


task_scale = TaskScale(net, N_TASKS)
optimizer = torch.optim.Adam([{"params": net.parameters(), "lr": 1e-2}, {"params": task_scale.parameters(), "lr": 1e-3}])


def predict(x, task):
    weights = task_scale(dict(net.named_parameters()), task)
    return functional_call(net, weights, (x,)).squeeze(1)


for it in range(6):
    losses = []
    for task in range(N_TASKS):
        x = torch.randn(32, 6)
        y = torch.sin(x[:, task]) + task
        losses.append(F.mse_loss(predict(x, task), y))
    loss = torch.stack(losses).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(it, [round(v.item(), 3) for v in losses])
