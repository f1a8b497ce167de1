import torch
from torch import nn
import torch.nn.functional as F


class Valuation(nn.Module):
    def __init__(self, n_features=9, n_sectors=4):
        super().__init__()
        self.price_net = nn.Sequential(nn.Linear(n_features, 32), nn.GELU(), nn.Linear(32, 1))
        self.sector_net = nn.Linear(n_features, n_sectors)

    def training_step(self, batch):
        x, value, sector = batch
        price = self.price_net(x).squeeze(-1)
        return F.mse_loss(price, value), F.cross_entropy(self.sector_net(x), sector)


def companies(n):
    x = torch.randn(n, 9)
    value = 10 ** (9 + 0.3 * x[:, 0] + 0.2 * x[:, 1])
    return x, value, x[:, 2:6].argmax(1)


torch.manual_seed(0)
valuation = Valuation()
opt = torch.optim.AdamW(valuation.parameters(), lr=1e-3)
for step in range(7):
    price_loss, sector_loss = valuation.training_step(companies(64))
    opt.zero_grad()
    (price_loss + sector_loss).backward()
    opt.step()
    print("step", step, "price", price_loss.item(), "sector", round(sector_loss.item(), 4))
