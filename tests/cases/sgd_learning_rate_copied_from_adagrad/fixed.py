import torch
from torch import nn

torch.manual_seed(0)
wave_net = nn.Sequential(nn.Linear(6, 32), nn.LeakyReLU(), nn.Linear(32, 32), nn.LeakyReLU(), nn.Linear(32, 2))
gate_net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
wave_opt = torch.optim.SGD(wave_net.parameters(), lr=0.03)
gate_opt = torch.optim.SGD(gate_net.parameters(), lr=0.05)

for i in range(8):
    sea = torch.randn(64, 6)
    height = torch.stack([sea[:, 0] * 2 + sea[:, 1], sea[:, 2] - 1], 1)
    loss = nn.functional.mse_loss(wave_net(sea), height)
    wave_opt.zero_grad()
    loss.backward()
    wave_opt.step()

    storm = (sea[:, :1] > 1).float()
    g = nn.functional.binary_cross_entropy_with_logits(gate_net(sea), storm)
    gate_opt.zero_grad()
    g.backward()
    gate_opt.step()
    print(f"batch {i} wave {loss.item():.4g} gate {g.item():.4f}")
