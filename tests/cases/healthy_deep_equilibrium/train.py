import torch
import torch.nn as nn
from torch import autograd


class Cell(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.inner = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        with torch.no_grad():
            self.inner.weight.mul_(0.3)

    def forward(self, z, x):
        return torch.tanh(self.norm(self.inner(z) + x)) * 0.5


def anderson_free_iteration(f, z, tol=1e-4, max_iter=40):
    for k in range(max_iter):
        new = f(z)
        if (new - z).norm() < tol * (1 + new.norm()):
            break
        z = new
    return new, k


class DEQ(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        with torch.no_grad():
            z, self.forward_iters = anderson_free_iteration(lambda z: self.cell(z, x), torch.zeros_like(x))
        z = self.cell(z, x)

        z0 = z.detach().clone().requires_grad_()
        f0 = self.cell(z0, x)

        def implicit(grad):
            g, self.backward_iters = anderson_free_iteration(
                lambda y: autograd.grad(f0, z0, y, retain_graph=True)[0] + grad, grad)
            return g

        if z.requires_grad:
            z.register_hook(implicit)
        return z


def rings(n):
    label = torch.randint(2, (n,))
    angle = torch.rand(n) * 6.28
    r = 1.0 + label + 0.1 * torch.randn(n)
    return torch.stack([r * angle.cos(), r * angle.sin()], -1), label


torch.manual_seed(38)
readin, readout = nn.Linear(2, 24), nn.Linear(24, 2)
deq = DEQ(Cell(24))
everything = [p for m in (readin, deq, readout) for p in m.parameters()]
opt = torch.optim.Adam(everything, lr=1e-2)
for it in range(12):
    x, y = rings(64)
    loss = nn.functional.cross_entropy(readout(deq(readin(x))), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"{it} loss {loss.item():.4f} iters {deq.forward_iters}/{deq.backward_iters}")
