import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)


def ames(n):
    area = rng.uniform(600, 4000, n)
    lot = rng.uniform(2000, 20000, n)
    year = rng.integers(1920, 2010, n)
    price = 60 * area + 3 * lot + 500 * (year - 1900) + rng.normal(0, 5000, n)
    return np.stack([area, lot, year], 1).astype(np.float32), price.astype(np.float32)


class PriceModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return self.body(x).squeeze(-1)


price_model = PriceModel()
age_model = nn.Linear(1, 1)
optimizer = torch.optim.Adam([*price_model.parameters(), *age_model.parameters()], lr=1e-3)
for step in range(10):
    x, y = (torch.from_numpy(a) for a in ames(64))
    price_loss = nn.functional.mse_loss(price_model(x), y)
    age = (x[:, 2:] - 1965) / 45
    age_loss = nn.functional.mse_loss(age_model(age), age.abs())
    optimizer.zero_grad()
    (price_loss + age_loss).backward()
    optimizer.step()
    print(step, f"{price_loss.item():.3e}", f"{age_loss.item():.3f}")
