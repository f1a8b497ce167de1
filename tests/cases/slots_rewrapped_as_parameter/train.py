import torch
from torch import nn


class SlotInit(nn.Module):
    def __init__(self, dim, n_slots):
        super().__init__()
        self.n_slots, self.dim = n_slots, dim
        self.to_slots = nn.Linear(dim, dim * n_slots)

    def forward(self, ctx):
        return self.to_slots(ctx).view(-1, self.n_slots, self.dim)


class SlotModel(nn.Module):
    def __init__(self, dim=12, n_slots=3):
        super().__init__()
        self.initializer = SlotInit(dim, n_slots)
        self.attend = nn.Linear(dim, dim, bias=False)
        self.decoder = nn.Linear(dim, dim)
        self.slots = None

    def forward(self, x):
        # "cannot assign a Tensor as parameter 'slots'": wrap it
        self.slots = nn.Parameter(self.initializer(x.mean(1)))
        att = torch.softmax(x @ self.attend(self.slots).transpose(1, 2), dim=-1)
        return self.decoder(att @ self.slots)


def fit(model, steps=5):
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(steps):
        x = torch.randn(8, 15, 12)
        loss = (model(x) - x).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print("reconstruction", f"{losses[-1]:.4f}")
    return losses


torch.manual_seed(33)
model = SlotModel()
fit(model)
