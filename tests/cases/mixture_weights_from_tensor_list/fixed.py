import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(21)


class ExpertForecaster(nn.Module):
    def __init__(self, window, hidden):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(window, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        return self.fc(x).squeeze(-1)


class Blender(nn.Module):
    """One weight per expert, from the volatility of the window."""

    def __init__(self, n):
        super().__init__()
        self.scorers = nn.ModuleList([nn.Linear(2, 1) for _ in range(n)])

    def forward(self, x):
        stats = torch.stack([x.mean(-1), x.std(-1)], dim=-1).mean(0)
        scores = [scorer(stats) for scorer in self.scorers]
        return F.softmax(torch.cat(scores), dim=0)


class Forecast:
    def __init__(self, window=12):
        self.experts = nn.ModuleList([ExpertForecaster(window, h) for h in (8, 16, 24)])
        self.blender = Blender(3)
        self.opt = torch.optim.RMSprop([*self.experts.parameters(), *self.blender.parameters()], lr=1e-3)

    def training_step(self, x, y):
        w = self.blender(x)
        pred = sum(wi * e(x) for wi, e in zip(w, self.experts))
        loss = F.smooth_l1_loss(pred, y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item(), [round(v, 3) for v in w.tolist()]


f = Forecast()
for t in range(6):
    series = torch.randn(20, 13).cumsum(-1)
    print(t, *f.training_step(series[:, :-1], series[:, -1]))
