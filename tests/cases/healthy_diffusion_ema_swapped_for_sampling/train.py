import copy

import torch
from torch import nn


class EMA:
    def __init__(self, model, decay=0.9):
        self.shadow = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.copy_(self.decay * s + (1 - self.decay) * p)


class Eps(nn.Module):
    def __init__(self, dim=6):
        super().__init__()
        self.time = nn.Linear(1, 24)
        self.inp, self.out = nn.Linear(dim, 24), nn.Linear(24, dim)

    def forward(self, x, t):
        return self.out(torch.nn.functional.silu(self.inp(x) + self.time(t)))


@torch.no_grad()
def sample(model, ema, n=4):
    keep = copy.deepcopy(model.state_dict())
    model.load_state_dict(ema.shadow.state_dict())       # sample with the averaged weights
    x = torch.randn(n, 6)
    for k in reversed(range(5)):
        x = x - 0.2 * model(x, torch.full((n, 1), k / 5))
    model.load_state_dict(keep)
    return x


torch.manual_seed(237)
eps_model = Eps()
ema = EMA(eps_model)
optimizer = torch.optim.Adam(eps_model.parameters(), lr=2e-3)
for step in range(6):
    x0, noise, t = torch.randn(32, 6) * 0.3 + 1, torch.randn(32, 6), torch.rand(32, 1)
    loss = (eps_model((1 - t) * x0 + t * noise, t) - noise).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    ema.update(eps_model)
    drawn = sample(eps_model, ema) if step % 2 else None
    print(f"step {step} loss {loss.item():.4f}", "" if drawn is None else f"sample mean {drawn.mean().item():+.3f}")
