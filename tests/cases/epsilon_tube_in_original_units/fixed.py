import torch
from torch import nn

torch.manual_seed(3)


class EpsilonInsensitive(nn.Module):
    """support vector regression"""

    def __init__(self, eps):
        super().__init__()
        self.eps = eps

    def forward(self, pred, target):
        return torch.relu((pred - target).abs() - self.eps).mean()


temps = 15 + 8 * torch.randn(300)
stations = torch.randn(300, 5) + (temps[:, None] - 15) / 8
mean, std = temps.mean(), temps.std()
targets = (temps - mean) / std

regressor = nn.Sequential(nn.Linear(5, 32), nn.SiLU(), nn.Linear(32, 1))
calibrator = nn.Linear(5, 1)                        # predicts the log variance
criterion = EpsilonInsensitive(eps=0.5 / std)
opt_r = torch.optim.SGD(regressor.parameters(), lr=0.05, momentum=0.9)
opt_c = torch.optim.SGD(calibrator.parameters(), lr=0.01)

for epoch in range(3):
    for rows in torch.randperm(300).split(100):
        pred = regressor(stations[rows]).squeeze(-1)
        loss = criterion(pred, targets[rows])
        opt_r.zero_grad()
        loss.backward()
        opt_r.step()

        logvar = calibrator(stations[rows]).squeeze(-1)
        nll = (logvar + (pred.detach() - targets[rows]) ** 2 / logvar.exp()).mean()
        opt_c.zero_grad()
        nll.backward()
        opt_c.step()
    print("epoch", epoch, "tube", loss.item(), "nll", nll.item())
