import contextlib
import torch
from torch import nn


class Momentum:
    """heavy-ball update written by hand"""

    def __init__(self, module, lr, mu=0.5):
        self.module, self.lr, self.mu = module, lr, mu
        self.velocity = {n: torch.zeros_like(p) for n, p in module.named_parameters()}

    @torch.no_grad()
    def apply(self):
        for name, p in self.module.named_parameters():
            v = self.velocity[name]
            v.mul_(self.mu).add_(p.grad)
            p -= self.lr * v
            p.grad = None


@contextlib.contextmanager
def frozen(module):
    module.requires_grad_(False)
    try:
        yield module
    finally:
        module.requires_grad_(True)


def spiky(n):
    centre = torch.randint(3, (n, 1)) * 1.5 - 1.5
    return torch.cat([centre + 0.1 * torch.randn(n, 1), centre.abs() + 0.1 * torch.randn(n, 1)], 1)


def gradient_penalty(critic, real, fake):
    mix = torch.rand(len(real), 1)
    x = (mix * real + (1 - mix) * fake).requires_grad_()
    slope, = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return (slope.square().sum(1) + 1e-12).sqrt().sub(1).square().mean()


torch.manual_seed(40)
generator = nn.Sequential(nn.Linear(4, 32), nn.LeakyReLU(0.2), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(2, 32), nn.Softplus(), nn.Linear(32, 32), nn.Softplus(), nn.Linear(32, 1, bias=False))
g_rule, c_rule = Momentum(generator, 5e-3), Momentum(critic, 1e-2)

for it in range(8):
    for _ in range(3):
        real = spiky(64)
        fake = generator(torch.randn(64, 4)).detach()
        c_loss = critic(fake).mean() - critic(real).mean() + gradient_penalty(critic, real, fake)
        c_loss.backward()
        c_rule.apply()
    with frozen(critic):
        g_loss = -critic(generator(torch.randn(64, 4))).mean()
        g_loss.backward()
    g_rule.apply()
    print(f"it {it} critic {c_loss.item():.4f} generator {g_loss.item():.4f}")
