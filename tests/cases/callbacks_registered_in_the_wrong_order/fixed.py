from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass
class Engine:
    model: nn.Module
    optimizer: torch.optim.Optimizer
    after_backward: list = field(default_factory=list)

    def on_backward(self, fn):
        self.after_backward.append(fn)
        return fn

    def run(self, batches):
        for i, (x, y) in enumerate(batches):
            loss = nn.functional.mse_loss(self.model(x), y)
            loss.backward()
            for fn in self.after_backward:
                fn()
            print("iteration", i, "mse", f"{loss.item():.4f}")


torch.manual_seed(407)
lift = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 12))
engine = Engine(lift, torch.optim.Adam(lift.parameters(), lr=2e-3))


@engine.on_backward
def update_weights():
    engine.optimizer.step()


@engine.on_backward
def clear_gradients():
    engine.optimizer.zero_grad()


data = torch.randn(5, 20, 8)
engine.run([(x, x[:, :4].repeat(1, 3)) for x in data])
