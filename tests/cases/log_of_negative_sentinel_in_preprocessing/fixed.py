import warnings
import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore")


def features(raw):
    income, age = raw[:, 0], raw[:, 1]
    income = np.where(income < 0, np.median(income), income)
    log_income = np.log(income)
    return np.stack([log_income / 10, age / 50, log_income * age / 500], axis=1)


class WideDeep(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.wide = nn.Linear(n, 1)
        self.deep = nn.Sequential(nn.Linear(n, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, x):
        return (self.wide(x) + self.deep(x)).squeeze(1)


def load(n):
    rng = np.random.default_rng(0)
    raw = np.stack([rng.lognormal(10, 0.5, n), rng.integers(18, 80, n)], axis=1)
    raw[n // 2 :: 50, 0] = -1                     # not stated
    return raw, (raw[:, 1] > 40)


torch.manual_seed(0)
raw, label = load(480)
x = torch.tensor(features(raw), dtype=torch.float32)
y = torch.tensor(label, dtype=torch.float32)
model = WideDeep(3)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for i, (xb, yb) in enumerate(zip(x.split(60), y.split(60))):
    loss = nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("batch", i, "loss", loss.item())
