import torch
from torch import nn

torch.manual_seed(0)


class Standardise(nn.Module):
    def __init__(self, n, eps=1e-12):
        super().__init__()
        self.eps = eps
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("std", torch.ones(n))

    def fit(self, x):
        self.mean, self.std = x.mean(0), x.std(0)

    def forward(self, x):
        return (x - self.mean) / (self.std + self.eps)


class Pipeline(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.scaler = Standardise(n)
        self.detector = nn.Sequential(nn.Linear(n, 24), nn.LeakyReLU(), nn.Linear(24, 1))

    def forward(self, x):
        return self.detector(self.scaler(x)).squeeze(1)


def readings(n, valve):
    x = torch.randn(n, 6)
    x[:, 2] = 0.5 + 1e-7 * torch.randn(n) if not valve else torch.rand(n)
    return x


pipeline = Pipeline(6)
context = nn.Linear(5, 1)
pipeline.scaler.fit(readings(500, valve=False))
opt = torch.optim.Adam([*pipeline.parameters(), *context.parameters()], lr=1e-3)

for step in range(7):
    x = readings(64, valve=True)
    fault = ((x[:, 0] > 0) & (x[:, 1] > 0)).float()
    alarm = nn.functional.mse_loss(pipeline(x), fault)
    other = nn.functional.mse_loss(context(x[:, [0, 1, 3, 4, 5]]).squeeze(1), fault)
    opt.zero_grad()
    (alarm + other).backward()
    opt.step()
    print(f"step {step} alarm {alarm.item():.4g} context {other.item():.4f}")
