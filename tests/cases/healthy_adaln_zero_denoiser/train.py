import torch
from torch import nn

torch.manual_seed(0)
D = 20


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(D, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(D, 2 * D), nn.SiLU(), nn.Linear(2 * D, D))
        self.modulation = nn.Linear(D, 3 * D)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x, c):
        shift, scale, gate = self.modulation(c).chunk(3, -1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)


class Denoiser(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.inp = nn.Linear(8, D)
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        self.out = nn.Linear(D, 8)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, c):
        h = self.inp(x)
        for block in self.blocks:
            h = block(h, c)
        return self.out(h)


time_embed = nn.Sequential(nn.Linear(1, D), nn.SiLU(), nn.Linear(D, D))
denoiser = Denoiser()
opt = torch.optim.Adam([*time_embed.parameters(), *denoiser.parameters()], lr=2e-3)
for step in range(10):
    x0 = torch.randn(64, 8) * 0.3 + 1
    t = torch.rand(64, 1)
    eps = torch.randn_like(x0)
    loss = (denoiser((1 - t) * x0 + t * eps, time_embed(t)) - eps).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("step", step, "loss", loss.item())
