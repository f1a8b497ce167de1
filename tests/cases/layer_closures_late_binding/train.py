import math
import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, dim, hidden, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(dim // 2, hidden), nn.Tanh(), nn.Linear(hidden, dim))

    def forward(self, x, log_det):
        a, b = x.chunk(2, dim=-1)
        if self.flip:
            a, b = b, a
        log_s, t = self.net(a).chunk(2, dim=-1)
        log_s = torch.tanh(log_s)
        b = b * log_s.exp() + t
        out = torch.cat([b, a] if self.flip else [a, b], dim=-1)
        return out, log_det + log_s.sum(-1)


class RealNVP(nn.Module):
    def __init__(self, dim=4, depth=4, hidden=24):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(dim, hidden, flip=i % 2 == 1) for i in range(depth))
        self.pipeline = []
        for layer in self.couplings:
            self.pipeline.append(lambda x, log_det: layer(x, log_det))

    def log_prob(self, x):
        log_det = x.new_zeros(len(x))
        for transform in self.pipeline:
            x, log_det = transform(x, log_det)
        base = -0.5 * (x ** 2).sum(-1) - 0.5 * x.shape[-1] * math.log(2 * math.pi)
        return base + log_det


def two_moons(n):
    t = torch.rand(n, 2) * math.pi
    side = torch.randint(2, (n, 2)) * 2.0 - 1
    xy = torch.stack([t.cos() * side, t.sin() * side - 0.5 * side], dim=-1)
    return (xy + 0.05 * torch.randn_like(xy)).flatten(1)


torch.manual_seed(14)
flow = RealNVP()
opt = torch.optim.Adam(flow.parameters(), lr=5e-3)
for step in range(10):
    nll = -flow.log_prob(two_moons(64)).mean()
    opt.zero_grad()
    nll.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
    opt.step()
    print("step", step, "nll", round(nll.item(), 4))
