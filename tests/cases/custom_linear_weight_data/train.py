import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(5)


class CenteredLayer(nn.Module):
    def forward(self, X):
        return X - X.mean()


class MyLinear(nn.Module):
    def __init__(self, in_units, units):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_units, units) / in_units ** 0.5)
        self.bias = nn.Parameter(torch.zeros(units,))

    def forward(self, X):
        linear = torch.matmul(X, self.weight.data) + self.bias.data
        return F.relu(linear)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(8, 24), nn.ReLU(), CenteredLayer(),
            MyLinear(24, 16),
            nn.Linear(16, 1))

    def forward(self, X):
        return self.net(X)


class ProgressBoard:
    def __init__(self):
        self.rows = []

    def draw(self, x, y):
        self.rows.append((x, float(y)))


def synthetic(n, w=torch.linspace(-1, 1, 8)):
    X = torch.randn(n, 8)
    return X, (X @ w).unsqueeze(1) + 0.1 * torch.randn(n, 1)


def fit(model, board, epochs=3, batch=32):
    trainer = torch.optim.SGD(model.parameters(), lr=0.05)
    X, y = synthetic(128)
    for epoch in range(epochs):
        for i in range(0, len(X), batch):
            l = ((model(X[i:i + batch]) - y[i:i + batch]) ** 2).mean()
            trainer.zero_grad()
            l.backward()
            trainer.step()
        board.draw(epoch, l)


model, board = Regressor(), ProgressBoard()
fit(model, board)
for epoch, l in board.rows:
    print("epoch", epoch, "loss", round(l, 4))
