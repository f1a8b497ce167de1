import copy
import itertools
import torch
from torch import nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm

torch.manual_seed(51)
Z, W, N_CRITIC, LAZY_R1 = 8, 16, 2, 4


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(Z, W), nn.LeakyReLU(0.2), nn.Linear(W, W))
        self.const = nn.Parameter(torch.randn(1, 32))
        self.style = nn.Linear(W, 32)
        self.synthesis = nn.Sequential(nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 12))

    def forward(self, z):
        return self.synthesis(self.const * (1 + self.style(self.mapping(z))))


G = Generator()
D = nn.Sequential(nn.Linear(12, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
G_avg = copy.deepcopy(G).eval().requires_grad_(False)

opt_g = torch.optim.Adam([
    {"params": G.mapping.parameters(), "lr": 1e-5},
    {"params": itertools.chain([G.const], G.style.parameters(), G.synthesis.parameters())},
], lr=1e-3, betas=(0.0, 0.99))
opt_d = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.99))
for layer in D:
    if isinstance(layer, nn.Linear):
        spectral_norm(layer)


def toggle(net, flag):
    for p in net.parameters():
        p.requires_grad_(flag)


def real(n=32):
    k = torch.randint(0, 3, (n, 1)).float()
    return torch.sin(k + torch.arange(12) / 2) + 0.05 * torch.randn(n, 12)


for it in range(16):
    x = real()
    toggle(G, False)
    toggle(D, True)
    with torch.no_grad():
        fake = G(torch.randn(32, Z))
    d_loss = F.softplus(-D(x)).mean() + F.softplus(D(fake)).mean()
    if it % LAZY_R1 == 0:
        xr = x.detach().requires_grad_()
        slope, = torch.autograd.grad(D(xr).sum(), xr, create_graph=True)
        d_loss = d_loss + LAZY_R1 * 0.5 * slope.square().sum(1).mean()
    opt_d.zero_grad()
    d_loss.backward()
    opt_d.step()
    if it % N_CRITIC:
        continue
    toggle(G, True)
    toggle(D, False)
    g_loss = F.softplus(-D(G(torch.randn(32, Z)))).mean()
    opt_g.zero_grad()
    g_loss.backward()
    opt_g.step()
    with torch.no_grad():
        for a, p in zip(G_avg.parameters(), G.parameters()):
            a.lerp_(p, 0.02)
    print(f"it {it} d {d_loss.item():.3f} g {g_loss.item():.3f}")
