import torch
from torch import autograd, nn

torch.manual_seed(0)
N_CRITIC, LAMBDA = 3, 10.0

G = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
D = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))
opt_d = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.0, 0.9))


def moons(n):
    a = torch.rand(n) * torch.pi
    side = torch.randint(0, 2, (n,)).float()
    x = torch.cos(a) * (1 - 2 * side) + side
    y = torch.sin(a) * (1 - 2 * side) + 0.4 * side
    return torch.stack([x, y], 1) + 0.05 * torch.randn(n, 2)


def gradient_penalty(real, fake):
    mix = torch.rand(len(real), 1)
    point = (mix * real + (1 - mix) * fake).requires_grad_(True)
    slope, = autograd.grad(D(point).sum(), point, create_graph=True)
    return ((slope.norm(2, dim=1) - 1) ** 2).mean()


def toggle(net, on):
    for p in net.parameters():
        p.requires_grad_(on)


def critic_round(batch):
    toggle(D, True)
    for _ in range(N_CRITIC):
        real = moons(batch)
        with torch.no_grad():
            fake = G(torch.randn(batch, 3))
        wasserstein = D(fake).mean() - D(real).mean()
        penalty = LAMBDA * gradient_penalty(real, fake)
        opt_d.zero_grad(set_to_none=True)
        wasserstein.backward()
        penalty.backward()
        opt_d.step()
    return wasserstein.item(), penalty.item()


def generator_round(batch):
    toggle(D, False)
    loss = -D(G(torch.randn(batch, 3))).mean()
    opt_g.zero_grad(set_to_none=True)
    loss.backward()
    opt_g.step()
    return loss.item()


for i in range(6):
    w, p = critic_round(64)
    g = generator_round(64)
    print(f"{i}: w {w:+.3f} gp {p:.3f} g {g:+.3f}")
