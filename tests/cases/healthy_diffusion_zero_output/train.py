import copy
import math

import torch
from torch import nn


def zero_module(module):
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


class TimeBlock(nn.Module):
    def __init__(self, channels, emb):
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.inner = nn.Conv1d(channels, channels, 3, padding=1)
        self.emb = nn.Linear(emb, 2 * channels)
        self.outer = zero_module(nn.Conv1d(channels, channels, 3, padding=1))

    def forward(self, x, emb):
        scale, shift = self.emb(emb).unsqueeze(-1).chunk(2, 1)
        h = self.inner(nn.functional.silu(self.norm(x)))
        return x + self.outer(nn.functional.silu(h * (1 + scale) + shift))


class Denoiser(nn.Module):
    def __init__(self, channels=16, emb=16, depth=2):
        super().__init__()
        self.freqs = 2 ** torch.arange(emb // 2).float()
        self.enter = nn.Conv1d(1, channels, 3, padding=1)
        self.blocks = nn.ModuleList(TimeBlock(channels, emb) for _ in range(depth))
        self.leave = zero_module(nn.Conv1d(channels, 1, 3, padding=1))

    def forward(self, x, t):
        angle = t[:, None] * self.freqs * math.pi
        emb = torch.cat([angle.sin(), angle.cos()], -1)
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, emb)
        return self.leave(nn.functional.silu(h))


class EMA:
    def __init__(self, model, decay=0.95):
        self.decay, self.shadow = decay, copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.mul_(self.decay).add_(p, alpha=1 - self.decay)


def waves(n, length=32):
    t = torch.linspace(0, 1, length)
    return torch.sin(2 * math.pi * (torch.randint(1, 4, (n, 1)) * t + torch.rand(n, 1))).unsqueeze(1)


torch.manual_seed(0)
unet = Denoiser()
ema = EMA(unet)
opt = torch.optim.AdamW(unet.parameters(), lr=2e-3)
warmup = torch.optim.lr_scheduler.LambdaLR(opt, lambda k: min(1.0, (k + 1) / 3))
for it in range(12):
    x0, noise = waves(32), torch.randn(32, 1, 32)
    t = torch.rand(32)
    alpha = torch.cos(t * math.pi / 2).view(-1, 1, 1)
    x_t = alpha * x0 + (1 - alpha ** 2).sqrt() * noise
    loss = (unet(x_t, t) - noise).square().mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
    opt.step()
    warmup.step()
    ema.update(unet)
    print(it, f"{loss.item():.4f}")
