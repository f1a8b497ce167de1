import torch
from torch import nn


class SetEncoder(nn.Module):
    """The width of the input is only known from the data."""

    def __init__(self, dim=16):
        super().__init__()
        self.dim = dim
        self.project = None
        self.pool = nn.Linear(dim, dim)
        self.score = nn.Linear(dim, 1)

    def forward(self, x):
        if self.project is None:
            self.project = nn.Linear(x.shape[-1], self.dim)
        h = torch.relu(self.project(x))
        return self.score(torch.relu(self.pool(h)).mean(1)).squeeze(-1)


def fit(model, data, lr=5e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for i, x in enumerate(data):
        loss = nn.functional.mse_loss(model(x), x.amax((1, 2)))
        model.zero_grad()
        loss.backward()
        optimizer.step()
        print("set", i, f"loss {loss.item():.4f}")


torch.manual_seed(325)
model = SetEncoder()
data = torch.randn(6, 10, 4, 9)
model(data[0])           # builds the projection
fit(model, data)
