import torch
from torch import nn


class Loop:
    def __init__(self):
        self.encoder = nn.Sequential(nn.Linear(6, 24), nn.SiLU())
        self.head = nn.Linear(24, 1)
        self.params = [*self.encoder.parameters(), *self.head.parameters()]
        self.opt = torch.optim.Adam(self.params, lr=3e-3)
        self.skipped = 0

    def healthy_gradients(self):
        return all(torch.isfinite(p.grad).all() for p in self.params)

    def step(self, x, y):
        self.opt.zero_grad()
        loss = nn.functional.huber_loss(self.head(self.encoder(x)).squeeze(1), y)
        loss.backward()
        if self.healthy_gradients():
            self.opt.step()
        else:
            self.skipped += 1
        return loss.item()


torch.manual_seed(0)
loop = Loop()
for i in range(12):
    x = torch.randn(32, 6)
    if i in (3, 8):
        x[0, 0] = float("nan")
    y = x[:, 1] - x[:, 2]
    print(i, round(loop.step(x, y), 4), "skipped so far", loop.skipped)
