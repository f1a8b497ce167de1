import torch
from torch import nn

torch.manual_seed(11)
LOOKBACK, HORIZON, TARGETS = 24, 6, 3


class ResidualBlock(nn.Module):
    def __init__(self, n_in, n_out, hidden=32):
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(n_in, hidden), nn.SiLU(), nn.Linear(hidden, n_out))
        self.skip = nn.Linear(n_in, n_out)
        self.norm = nn.LayerNorm(n_out)

    def forward(self, x):
        return self.norm(self.dense(x) + self.skip(x))


class TiDE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoders = nn.Sequential(ResidualBlock(LOOKBACK * TARGETS, 32), ResidualBlock(32, 32))
        self.decoders = nn.Sequential(ResidualBlock(32, 48))
        self.out = nn.Linear(48, HORIZON * TARGETS)
        self.lookback_skip = nn.Linear(LOOKBACK, HORIZON)

    def forward(self, x):
        temporal = self.out(self.decoders(self.encoders(x.flatten(1)))).view(-1, HORIZON, TARGETS)
        return temporal + self.lookback_skip(x.transpose(1, 2)).transpose(1, 2)


class Forecaster:
    """Wraps the network the way the forecasting library does: one tensor per target."""

    def __init__(self, net):
        self.net = net
        self.calibration = nn.ModuleList(nn.Linear(1, 3) for _ in range(TARGETS))

    def parameters(self):
        yield from self.net.parameters()
        yield from self.calibration.parameters()

    def to_prediction(self, output):
        prediction = [output[..., i].unsqueeze(-1) for i in range(TARGETS)]
        if len(prediction) > 1:
            prediction = [i.clone() for i in prediction]
        return [head(p) for head, p in zip(self.calibration, prediction)]

    def loss(self, batch, future, quantiles=(0.1, 0.5, 0.9)):
        q = torch.tensor(quantiles)
        total = 0.0
        for i, pred in enumerate(self.to_prediction(self.net(batch))):
            err = future[..., i:i + 1] - pred
            total = total + torch.maximum(q * err, (q - 1) * err).mean()
        return total / TARGETS


def windows(n=32):
    t = torch.arange(LOOKBACK + HORIZON) / 6.0
    phase, freq = torch.rand(n, 1, TARGETS) * 6, torch.rand(n, 1, TARGETS) + 0.5
    series = torch.sin(freq * t.view(1, -1, 1) + phase) + 0.1 * torch.randn(n, len(t), TARGETS)
    return series[:, :LOOKBACK], series[:, LOOKBACK:]


forecaster = Forecaster(TiDE())
optimizer = torch.optim.AdamW(forecaster.parameters(), lr=2e-3)
for step in range(6):
    history, future = windows()
    loss = forecaster.loss(history, future)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} quantile loss {loss.item():.4f}")
