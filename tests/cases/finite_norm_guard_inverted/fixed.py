import math

import torch
from torch import nn


class SafeStepper:
    def __init__(self, optimizer, limit=1.0):
        self.optimizer, self.limit, self.skipped = optimizer, limit, 0

    def __call__(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        params = [p for g in self.optimizer.param_groups for p in g["params"]]
        norm = float(nn.utils.clip_grad_norm_(params, self.limit))
        if not math.isfinite(norm):
            self.skipped += 1
            return norm
        self.optimizer.step()
        return norm


torch.manual_seed(151)
flow = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 4))
prior = nn.Linear(2, 4)
step_flow = SafeStepper(torch.optim.Adam(flow.parameters(), lr=1e-3))
prior_opt = torch.optim.Adam(prior.parameters(), lr=1e-3)

for i in range(6):
    ctx = torch.rand(32, 2)
    x = torch.randn(32, 4) + ctx.repeat(1, 2)
    prior_opt.zero_grad()
    shift = prior(ctx)
    loss = (flow(x) - shift).pow(2).mean()
    norm = step_flow(loss)
    prior_opt.step()
    print(f"{i} loss {loss.item():.4f} norm {norm:.3f} skipped {step_flow.skipped}")
