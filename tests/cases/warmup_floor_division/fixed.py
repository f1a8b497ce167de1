import math
import torch
import torch.nn as nn


class Denoiser(nn.Module):
    def __init__(self, dim=2, hidden=48):
        super().__init__()
        self.time = nn.Linear(8, hidden)
        self.inp = nn.Linear(dim, hidden)
        self.mid = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, dim)

    def forward(self, x, t):
        freq = torch.exp(torch.arange(4) * -math.log(100.0) / 4)
        emb = torch.cat([(t[:, None] * freq).sin(), (t[:, None] * freq).cos()], -1)
        h = torch.nn.functional.silu(self.inp(x) + self.time(emb))
        return self.out(torch.nn.functional.silu(self.mid(h)))


class DDPM:
    def __init__(self, T=100):
        self.T = T
        self.alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.05, T), 0)

    def loss(self, model, x0):
        t = torch.randint(self.T, (len(x0),))
        eps = torch.randn_like(x0)
        ab = self.alpha_bar[t][:, None]
        return (model(ab.sqrt() * x0 + (1 - ab).sqrt() * eps, t.float()) - eps).pow(2).mean()


def warmup_cosine(warmup_steps, total_steps):
    def factor(step):
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * done))
    return factor


def swiss_roll(n):
    r = 1.5 * math.pi * (1 + 2 * torch.rand(n))
    return torch.stack([r * r.cos(), r * r.sin()], -1) / 10


torch.manual_seed(20)
denoiser, process = Denoiser(), DDPM()
optimizer = torch.optim.Adam(denoiser.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(10, 40))
for step in range(10):
    loss = process.loss(denoiser, swiss_roll(128))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    print(f"step {step} loss {loss.item():.4f}")
