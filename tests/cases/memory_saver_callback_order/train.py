from collections import defaultdict

import torch
from torch import nn
import torch.nn.functional as F


class Engine:
    """Minimal event driven training loop."""

    def __init__(self, process, optimizer):
        self.process, self.optimizer = process, optimizer
        self.handlers = defaultdict(list)
        self.iteration, self.output = 0, None

    def on(self, event, handler):
        self.handlers[event].append(handler)
        return self

    def fire(self, event):
        for handler in self.handlers[event]:
            handler(self)

    def run(self, data):
        for batch in data:
            self.iteration += 1
            loss = self.process(batch)
            loss.backward()
            self.fire("backward_completed")
            self.optimizer.step()
            self.output = loss.item()
            self.fire("iteration_completed")


class GradNormMonitor:
    def __init__(self, params):
        self.params, self.last = list(params), 0.0

    def __call__(self, engine):
        grads = [p.grad.norm() for p in self.params if p.grad is not None]
        self.last = torch.stack(grads).norm().item() if grads else 0.0


class MemorySaver:
    """Frees gradient buffers as soon as nobody needs them."""

    def __call__(self, engine):
        engine.optimizer.zero_grad(set_to_none=True)


def tower(n_in, dim=16):
    return nn.Sequential(nn.Linear(n_in, 32), nn.GELU(), nn.Linear(32, dim))


torch.manual_seed(28)
user_tower, item_tower = tower(20), tower(12)
params = [*user_tower.parameters(), *item_tower.parameters()]
taste = torch.randn(12, 20)


def contrastive(batch):
    users, items = batch
    u, v = F.normalize(user_tower(users), dim=-1), F.normalize(item_tower(items), dim=-1)
    return F.cross_entropy(u @ v.t() / 0.2, torch.arange(len(u)))


def stream(n):
    for _ in range(n):
        items = torch.randn(32, 12)
        yield items @ taste / 3 + 0.1 * torch.randn(32, 20), items


engine = Engine(contrastive, torch.optim.Adam(params, lr=2e-3))
monitor = GradNormMonitor(params)
engine.on("backward_completed", monitor)
engine.on("backward_completed", MemorySaver())
engine.on("iteration_completed", lambda e: print(f"it {e.iteration} loss {e.output:.4f} |g| {monitor.last:.4f}"))
engine.run(stream(7))
