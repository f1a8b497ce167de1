import numpy as np
import torch
from torch import nn

torch.manual_seed(9)
np.random.seed(9)


def fcn(n_in, n_out, width=24, out_bias=True):
    return nn.Sequential(nn.Linear(n_in, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(),
                         nn.Linear(width, n_out, bias=out_bias))


class Channel:
    """Steady channel flow: u from measurements, p only through -dp/dx + nu u'' = 0."""

    def __init__(self, n=64):
        self.x = torch.linspace(0, 1, n).unsqueeze(1)
        self.h = float(self.x[1] - self.x[0])

    def measured(self):
        return torch.sin(3 * self.x) + 0.01 * torch.randn_like(self.x)


def ddx(f, h):
    return torch.gradient(f, spacing=h, dim=0)[0]


def second(f, h):
    return (f[2:] - 2 * f[1:-1] + f[:-2]) / h ** 2


def physics_loss(u, p, nu, h):
    residual = -ddx(p, h)[1:-1] + nu.exp() * second(u, h)
    return residual.pow(2).mean()


nets = {"velocity": fcn(1, 1), "pressure": fcn(1, 1, out_bias=False)}
log_nu = nn.Parameter(torch.tensor(0.5))
everything = [p for net in nets.values() for p in net.parameters()] + [log_nu]
opt = torch.optim.Adam(everything, lr=2e-3)
flow = Channel()

for epoch in range(8):
    opt.zero_grad()
    u, p = nets["velocity"](flow.x), nets["pressure"](flow.x)
    data = (u - flow.measured()).pow(2).mean()
    phys = physics_loss(u, p, log_nu, flow.h)
    (data + 0.1 * phys).backward()
    opt.step()
    if epoch % 2 == 0:
        print(f"epoch {epoch} data {data.item():.4f} physics {phys.item():.4f}")
