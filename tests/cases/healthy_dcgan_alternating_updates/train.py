import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(201)
Z = 6
G = nn.Sequential(nn.Linear(Z, 32), nn.ReLU(), nn.Linear(32, 12), nn.Tanh())
D = nn.Sequential(nn.Linear(12, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
opt_G = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_D = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.999))
ones, zeros = torch.ones(20, 1), torch.zeros(20, 1)

for it in range(6):
    real = torch.tanh(torch.randn(20, 12) + 0.5)
    fake = G(torch.randn(20, Z))

    D.zero_grad()
    F.binary_cross_entropy_with_logits(D(real), ones).backward()
    loss_fake = F.binary_cross_entropy_with_logits(D(fake.detach()), zeros)
    loss_fake.backward()
    opt_D.step()

    G.zero_grad()
    loss_g = F.binary_cross_entropy_with_logits(D(fake), ones)
    loss_g.backward()
    opt_G.step()
    print(f"[{it}] D(fake) {loss_fake.item():.4f} G {loss_g.item():.4f}")
