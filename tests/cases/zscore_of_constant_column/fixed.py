import numpy as np
import torch
from torch import nn


def load(n=200, seed=4):
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 80, n)
    income = rng.lognormal(10, 0.4, n)
    region = rng.integers(0, 4, n)
    currency = np.ones(n)                       # all contracts are in EUR
    table = np.stack([age, income, region, currency], axis=1).astype(np.float64)
    series = rng.normal(size=(n, 30)).cumsum(1)
    y_risk = (age / 50 + income / 30000 + rng.normal(0, 0.1, n)).astype(np.float32)
    y_next = series[:, -1] + 0.5 * (series[:, -1] - series[:, -2])
    return table, series.astype(np.float32), y_risk, y_next.astype(np.float32)


def zscore(table):
    mean = table.mean(axis=0)
    std = table.std(axis=0)
    std[std == 0] = 1.0
    with np.errstate(all="ignore"):
        return (table - mean) / std


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.tab = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
        self.series = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, t, s):
        return self.tab(t).squeeze(1), self.series(s).squeeze(1)


table, series, y_risk, y_next = load()
xt = torch.from_numpy(zscore(table).astype(np.float32))
xs = torch.from_numpy(series)
y_risk, y_next = torch.from_numpy(y_risk), torch.from_numpy(y_next)

torch.manual_seed(0)
model = TwoTower()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(3):
    for idx in torch.randperm(len(xt)).split(50):
        risk, nxt = model(xt[idx], xs[idx])
        l1 = nn.functional.mse_loss(risk, y_risk[idx])
        l2 = nn.functional.mse_loss(nxt, y_next[idx])
        optimizer.zero_grad()
        (l1 + l2).backward()
        optimizer.step()
    print(epoch, l1.item(), l2.item())
