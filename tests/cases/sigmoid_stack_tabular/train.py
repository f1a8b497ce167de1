import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class RiskModel(nn.Module):
    """Credit risk from nine standardised columns."""

    def __init__(self, n_in=9, width=24, depth=14):
        super().__init__()
        self.stem = nn.Linear(n_in, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, 1)
        self.act = nn.Sigmoid()

    def forward(self, x):
        h = self.act(self.stem(x))
        for layer in self.hidden:
            h = self.act(layer(h))
        return self.out(h).squeeze(-1)


def make_table(n):
    x = torch.randn(n, 9)
    logit = 1.5 * x[:, 0] - x[:, 1] * x[:, 2] + 0.5 * (x[:, 3] > 1).float()
    return TensorDataset(x, (logit > 0).float())


@torch.no_grad()
def evaluate(model, loader):
    hits = sum(((model(x) > 0).float() == y).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


def main(epochs=2):
    torch.manual_seed(0)
    train, valid = random_split(make_table(400), [320, 80])
    risk = RiskModel()
    opt = torch.optim.SGD(risk.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(epochs):
        total = 0.0
        for x, y in DataLoader(train, batch_size=64, shuffle=True):
            loss = nn.functional.binary_cross_entropy_with_logits(risk(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / math.ceil(320 / 64):.4f} valid {evaluate(risk, DataLoader(valid, 80)):.3f}")
    return risk


if __name__ == "__main__":
    risk = main()
