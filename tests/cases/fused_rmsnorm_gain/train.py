import torch
from torch import nn


class FusedRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gain, eps):
        inv = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, gain, inv)
        return x * inv * gain

    @staticmethod
    def backward(ctx, grad):
        x, gain, inv = ctx.saved_tensors
        g = grad * gain
        dx = inv * (g - x * inv.pow(2) * (g * x).mean(-1, keepdim=True))
        return dx, None, None


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.gain, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return FusedRMSNorm.apply(x, self.gain, self.eps)


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim):
        super().__init__()
        self.norms = nn.ModuleDict({"time": RMSNorm(dim), "channel": RMSNorm(dim)})
        self.mix = nn.ModuleDict({"time": nn.Linear(tokens, tokens), "channel": nn.Linear(dim, dim)})

    def forward(self, x):
        x = x + self.mix["time"](self.norms["time"](x).transpose(1, 2)).transpose(1, 2)
        return x + self.mix["channel"](torch.relu(self.norms["channel"](x)))


def windows(series, length, horizon, n, generator):
    start = torch.randint(len(series) - length - horizon, (n,), generator=generator)
    index = start[:, None] + torch.arange(length + horizon)
    both = series[index]
    return both[:, :length], both[:, length:, 0]


torch.manual_seed(0)
t = torch.arange(600) / 12.0
series = torch.stack([torch.sin(t), torch.cos(0.5 * t), torch.sin(t) * torch.cos(0.5 * t), torch.randn(600) * 0.1], -1)
block, out = MixerBlock(24, 4), nn.Linear(24 * 4, 6)
opt = torch.optim.Adam([*block.parameters(), *out.parameters()], lr=3e-3)
rng = torch.Generator().manual_seed(0)
for step in range(8):
    past, future = windows(series, 24, 6, 32, rng)
    forecast = out(block(past).flatten(1))
    loss = (forecast - future).abs().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, f"mae {loss.item():.4f}")
