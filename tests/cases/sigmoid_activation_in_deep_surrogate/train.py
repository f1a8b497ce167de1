import torch
from torch import nn


class Surrogate(nn.Module):
    def __init__(self, n_in=3, width=20, depth=14):
        super().__init__()
        sizes = [n_in] + [width] * depth
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])
        self.last = nn.Linear(width, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.last(x)


def simulate(n):
    x = torch.rand(n, 3) * 2 - 1
    return x, torch.sin(3 * x[:, :1]) * x[:, 1:2] + x[:, 2:]


torch.manual_seed(0)
surrogate = Surrogate()
boundary = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.SGD([*surrogate.parameters(), *boundary.parameters()], lr=0.05, momentum=0.9)
for it in range(8):
    x, u = simulate(128)
    interior = (surrogate(x) - u).pow(2).mean()
    edge = (boundary(x.sign() * x) - x.prod(1, keepdim=True)).pow(2).mean()
    opt.zero_grad()
    (interior + edge).backward()
    opt.step()
    print(f"{it} interior {interior.item():.5f} edge {edge.item():.5f}")
