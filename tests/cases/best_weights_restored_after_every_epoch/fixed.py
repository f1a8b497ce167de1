import copy

import torch
from torch import nn

torch.manual_seed(161)


class EarlyStopping:
    def __init__(self, model, patience=2):
        self.model = model
        self.best_score = float("inf")
        self.best_state = copy.deepcopy(model.state_dict())

    def update(self, score):
        if score < self.best_score:
            self.best_score = score
            self.best_state = copy.deepcopy(self.model.state_dict())
        else:
            self.model.load_state_dict(self.best_state)


x = torch.rand(80, 5)
y = (x ** 2).sum(1, keepdim=True)
train_x, val_x, train_y, val_y = x[:60], x[60:], y[:60], y[60:]

curve = nn.Sequential(nn.Linear(5, 24), nn.GELU(), nn.Linear(24, 1))
stopper = EarlyStopping(curve)
optimizer = torch.optim.SGD(curve.parameters(), lr=0.05)

for epoch in range(4):
    for bx, by in zip(train_x.split(30), train_y.split(30)):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(curve(bx), by)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        val = nn.functional.mse_loss(curve(val_x), val_y).item()
    stopper.update(val)
    print(f"epoch {epoch} train {loss.item():.4f} val {val:.4f} best {stopper.best_score}")
