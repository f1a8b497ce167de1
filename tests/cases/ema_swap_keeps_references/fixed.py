import torch
from torch import nn
import torch.nn.functional as F


class EMA:
    """exponential average of a module; averaging begins after the first `start` updates"""

    def __init__(self, module, decay=0.999, start=100):
        self.decay, self.start, self.seen = decay, start, 0
        self.shadow = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module):
        self.seen += 1
        if self.seen < self.start:
            return
        for k, v in module.state_dict().items():
            self.shadow[k].lerp_(v, 1 - self.decay)


class Denoiser(nn.Module):
    def __init__(self, dim=16, cond=8, hidden=64):
        super().__init__()
        self.inp = nn.Linear(dim + cond + 1, hidden)
        self.mid = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, dim)

    def forward(self, x, sigma, c):
        h = F.silu(self.inp(torch.cat([x, sigma.log() / 4, c], -1)))
        return self.out(h + F.silu(self.mid(h)))


class DiffusionTrainer:
    def __init__(self, classes=5, cond=8, lr=2e-3):
        self.net, self.labels = Denoiser(cond=cond), nn.Embedding(classes, cond)
        self.opt = torch.optim.Adam([*self.net.parameters(), *self.labels.parameters()], lr=lr)
        self.ema = EMA(self.net)
        self.means = torch.randn(classes, 16)

    def batch(self, n=64):
        y = torch.randint(0, len(self.means), (n,))
        return self.means[y] + 0.1 * torch.randn(n, 16), y

    def loss(self, x, y):
        sigma = (torch.randn(len(x), 1) * 1.2 - 0.5).exp()
        noisy = x + sigma * torch.randn_like(x)
        weight = 1 / (1 + sigma ** 2)
        return (weight * (self.net(noisy, sigma, self.labels(y)) - x) ** 2).mean()

    def train_step(self):
        loss = self.loss(*self.batch())
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        self.ema.update(self.net)
        return loss.item()

    @torch.no_grad()
    def validate(self):
        current = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.ema.shadow)
        value = self.loss(*self.batch(256)).item()
        self.net.load_state_dict(current)
        return value


torch.manual_seed(19)
trainer = DiffusionTrainer()
for step in range(1, 16):
    value = trainer.train_step()
    if step % 3 == 0:
        print(f"step {step} train {value:.4f} val(ema) {trainer.validate():.4f}")
