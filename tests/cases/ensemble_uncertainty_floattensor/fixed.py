import torch
from torch import nn

torch.manual_seed(44)
members = nn.ModuleList([nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)) for _ in range(3)])
calibrator = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
opt = torch.optim.SGD([*members.parameters(), *calibrator.parameters()], lr=0.05)


def predict(x):
    mean, spread = [], []
    for row in x:
        votes = torch.stack([m(row) for m in members])
        mean.append(votes.mean())
        spread.append(votes.std())
    return torch.stack(mean), torch.stack(spread)


for epoch in range(4):
    x = torch.randn(12, 8)
    y = x[:, 0] * 2 - x[:, 1]
    mu, sigma = predict(x)
    correction = calibrator(torch.stack([mu, sigma], dim=1)).squeeze(1)
    loss = (mu + correction - y).abs().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("epoch %d mae %.4f" % (epoch, loss.item()))
