import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

KERNEL = 9


def moving_average(series, kernel):
    """series (B, T), kernel (B, K) -> smoothed series of the same length"""
    pad = KERNEL // 2
    padded = F.pad(series[None], (pad, pad), mode="replicate")
    return F.conv1d(padded, kernel[:, None], groups=len(series))[0]


class Forecaster(nn.Module):
    def __init__(self, history, horizon):
        super().__init__()
        self.smoother = nn.Sequential(nn.Linear(history, 32), nn.ReLU(), nn.Linear(32, KERNEL), nn.Softmax(-1))
        self.trend_net = nn.Linear(history, horizon)
        self.season_net = nn.Sequential(nn.Linear(history, 48), nn.ReLU(), nn.Linear(48, horizon))

    def forward(self, x):
        trend = moving_average(x, self.smoother(x))
        return self.trend_net(trend) + self.season_net(x - trend)


def windows(rng, n, history, horizon):
    t = np.arange(history + horizon)
    slope, phase = rng.normal(size=(2, n, 1))
    y = 0.03 * slope * t + np.sin(2 * np.pi * t / 7 + phase) + 0.1 * rng.normal(size=(n, len(t)))
    y = torch.from_numpy(y).float()
    return y[:, :history], y[:, history:]


def epoch_losses(model, optimizer, rng, batches):
    for _ in range(batches):
        past, future = windows(rng, 24, 28, 7)
        loss = F.smooth_l1_loss(model(past), future)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


torch.manual_seed(6)
rng = np.random.default_rng(6)
forecaster = Forecaster(28, 7)
optimizer = torch.optim.Adam(forecaster.parameters(), lr=3e-3)
for epoch in range(3):
    print("epoch", epoch, "mean loss %.4f" % np.mean(list(epoch_losses(forecaster, optimizer, rng, 5))))
