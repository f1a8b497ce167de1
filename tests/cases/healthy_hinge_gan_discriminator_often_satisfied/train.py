import torch
from torch import nn

torch.manual_seed(3)
G = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
g_opt = torch.optim.Adam(G.parameters(), lr=0.03)
d_opt = torch.optim.Adam(D.parameters(), lr=0.05, betas=(0.5, 0.9))

for step in range(30):
    real = torch.randn(8, 2) * 0.2 + 6
    fake = G(torch.randn(8, 3))
    d_loss = torch.relu(1 - D(real)).mean() + torch.relu(1 + D(fake.detach())).mean()
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()

    g_loss = -D(G(torch.randn(8, 3))).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    print(step, f"D {d_loss.item():.4f} G {g_loss.item():.4f}")
