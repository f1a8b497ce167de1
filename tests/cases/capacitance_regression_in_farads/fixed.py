import torch
from torch import nn
from circuits import sample_layouts

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1), nn.Softplus())
rank_net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
sgd = torch.optim.SGD([*net.parameters(), *rank_net.parameters()], lr=0.05)
PICO = 1.0

for step in range(7):
    layout, farad = sample_layouts(48)
    farad = farad * 1e12
    predicted = net(layout).squeeze(1) * PICO
    loss = nn.functional.mse_loss(predicted, farad)
    score = rank_net(layout).squeeze(1)
    order = torch.sign(farad - farad.roll(1))
    rank_loss = nn.functional.softplus(-order * (score - score.roll(1))).mean()
    sgd.zero_grad()
    (loss + rank_loss).backward()
    sgd.step()
    print(f"step {step} mse {loss.item():.4f} rank {rank_loss.item():.4f}")
