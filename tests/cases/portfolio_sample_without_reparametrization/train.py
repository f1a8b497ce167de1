import torch
from torch import nn
from torch.distributions import MultivariateNormal

torch.manual_seed(10)
ASSETS, LOOKBACK = 5, 12


class CovarianceNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(ASSETS * LOOKBACK, ASSETS * ASSETS)

    def forward(self, x):
        a = self.lin(x.flatten(1)).view(-1, ASSETS, ASSETS) * 0.1
        return a @ a.transpose(1, 2) + 0.1 * torch.eye(ASSETS)


class ResampledAllocator(nn.Module):
    """Averages softmax portfolios over returns drawn from the predicted distribution."""

    def __init__(self, n_draws=8):
        super().__init__()
        self.n_draws = n_draws
        self.returns = nn.Sequential(nn.Flatten(), nn.Linear(ASSETS * LOOKBACK, 16), nn.ReLU(), nn.Linear(16, ASSETS))
        self.covariance = CovarianceNet()
        self.log_temperature = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        dist = MultivariateNormal(loc=self.returns(x), covariance_matrix=self.covariance(x))
        draws = dist.sample((self.n_draws,))
        return torch.softmax(draws / self.log_temperature.exp(), dim=-1).mean(dim=0)


def sharpe_loss(weights, y):
    r = (weights.unsqueeze(1) * y).sum(-1)
    return -(r.mean(1) / (r.std(1) + 1e-3)).mean()


allocator = ResampledAllocator()
optimizer = torch.optim.Adam(allocator.parameters(), lr=1e-3)
drift = torch.linspace(-0.1, 0.2, ASSETS)
for epoch in range(6):
    x = torch.randn(16, LOOKBACK, ASSETS) * 0.3 + drift
    y = torch.randn(16, 10, ASSETS) * 0.3 + drift
    loss = sharpe_loss(allocator(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, round(loss.item(), 4))
