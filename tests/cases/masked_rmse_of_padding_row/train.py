import torch
from torch import nn


class MaskedRMSE(nn.Module):
    """root mean squared error per series, averaged over the batch"""

    def forward(self, prediction, target, mask):
        error = (prediction - target) * mask
        mse = (error ** 2).sum(1) / mask.sum(1).clamp(min=1)
        return torch.sqrt(mse).mean()


class Forecaster(nn.Module):
    def __init__(self, hidden=20):
        super().__init__()
        self.encoder = nn.GRU(1, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, 1)

    def forward(self, series):
        h, _ = self.encoder(series.unsqueeze(-1))
        return self.readout(h).squeeze(-1)


def load(n=44, length=12):
    start = 6.28 * torch.rand(n, 1)
    series = torch.sin(start + 0.5 * torch.arange(length + 1)) + 0.1 * torch.randn(n, length + 1)
    lengths = torch.randint(5, length + 1, (n,))
    return series, lengths


def fixed_size_batches(series, lengths, size):
    for i in range(0, len(series), size):
        s, l = series[i:i + size], lengths[i:i + size]
        missing = size - len(s)
        if missing:
            s = torch.cat([s, torch.zeros(missing, s.shape[1])])
            l = torch.cat([l, torch.zeros(missing, dtype=l.dtype)])
        mask = (torch.arange(s.shape[1] - 1) < l[:, None]).float()
        yield s[:, :-1], s[:, 1:], mask


torch.manual_seed(45)
series, lengths = load()
forecaster = Forecaster()
gate = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1))
criterion = MaskedRMSE()
opt = torch.optim.Adam(forecaster.parameters(), lr=3e-3)
gate_opt = torch.optim.Adam(gate.parameters(), lr=3e-3)
for epoch in range(2):
    for x, y, mask in fixed_size_batches(series, lengths, 16):
        loss = criterion(forecaster(x), y, mask)
        opt.zero_grad()
        loss.backward()
        opt.step()
        usable = (mask.sum(1, keepdim=True) > 8).float()
        gate_loss = nn.functional.binary_cross_entropy_with_logits(gate(x * mask), usable)
        gate_opt.zero_grad()
        gate_loss.backward()
        gate_opt.step()
        print(epoch, f"rmse {loss.item():.4f} gate {gate_loss.item():.4f}")
