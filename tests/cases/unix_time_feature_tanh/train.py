import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

START = 1_700_000_000.0
DAY = 86_400.0


class LoadDataset(Dataset):
    """Hourly electricity load with a timestamp and four weather sensors."""

    def __init__(self, hours=256):
        g = torch.Generator().manual_seed(0)
        self.stamp = START + 3600.0 * torch.arange(hours, dtype=torch.float64)
        self.weather = torch.randn(hours, 4, generator=g)
        phase = 2 * math.pi * (self.stamp / DAY).frac()
        self.load = (torch.sin(phase).float() + 0.3 * self.weather[:, 0] + 0.05 * torch.randn(hours, generator=g))

    def __len__(self):
        return len(self.load)

    def __getitem__(self, i):
        stamp = self.stamp[i]
        return stamp.float().view(1), self.weather[i], self.load[i]


class Forecaster(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.clock = nn.Linear(1, width)
        self.sensors = nn.Linear(4, width)
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, stamp, weather):
        when = torch.tanh(self.clock(stamp))
        return self.head(torch.cat([when, self.sensors(weather)], dim=1)).squeeze(1)


def fit(net, loader, epochs):
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(epochs):
        running = 0.0
        for stamp, weather, load in loader:
            loss = nn.functional.smooth_l1_loss(net(stamp, weather), load)
            opt.zero_grad()
            loss.backward()
            opt.step()
            running += loss.item()
        yield epoch, running / len(loader)


torch.manual_seed(0)
net = Forecaster()
for epoch, value in fit(net, DataLoader(LoadDataset(), batch_size=64, shuffle=True), epochs=2):
    print(epoch, round(value, 4))
