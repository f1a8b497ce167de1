import torch
from torch import nn

COLUMNS = {"area_sqft": (1800.0, 600.0), "lot_sqft": (9000.0, 4000.0), "year": (1975.0, 25.0), "tax_usd": (4200.0, 1500.0), "rooms": (6.0, 1.5)}


class Table:
    def __init__(self, n, seed=0):
        g = torch.Generator().manual_seed(seed)
        cols = [mean + std * torch.randn(n, generator=g) for mean, std in COLUMNS.values()]
        self.x = torch.stack(cols, 1)
        self.y = 140.0 * self.x[:, 0] + 6.0 * self.x[:, 1] + 9000.0 * self.x[:, 4] + 5000.0 * torch.randn(n, generator=g)

    def normalised(self):
        x = (self.x - self.x.mean(0)) / self.x.std(0)
        y = (self.y - self.y.mean()) / self.y.std()
        return x, y

    def raw(self):
        return self.x, self.y


class Experiment:
    def __init__(self, table, batch_size=32):
        self.x, self.y = table.normalised()
        self.batch_size = batch_size
        self.model = nn.Sequential(nn.Linear(len(COLUMNS), 32), nn.ReLU(), nn.Linear(32, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-2)
        self.loss_fn = nn.MSELoss()

    def batches(self):
        for index in torch.randperm(len(self.x)).split(self.batch_size):
            yield self.x[index], self.y[index]

    def epoch(self):
        losses = []
        for x, y in self.batches():
            prediction = self.model(x).squeeze(-1)
            loss = self.loss_fn(prediction, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses


torch.manual_seed(0)
experiment = Experiment(Table(128))
for e in range(2):
    print("epoch", e, ["%.3g" % v for v in experiment.epoch()])
