import torch
from torch import nn


class Callback:
    def on_batch_start(self, loop): ...
    def on_after_backward(self, loop): ...
    def on_batch_end(self, loop): ...


class History(Callback):
    def __init__(self):
        self.losses, self.norms = [], []

    def on_after_backward(self, loop):
        self.norms.append(sum(p.grad.norm().item() for p in loop.model.parameters()))

    def on_batch_end(self, loop):
        self.losses.append(loop.loss.item())
        print(f"batch {loop.batch_idx} loss {self.losses[-1]:.4f} grad {self.norms[-1]:.3f}")


class GradientReset(Callback):
    def on_after_backward(self, loop):
        loop.optimizer.zero_grad()


class Loop:
    def __init__(self, model, optimizer, criterion, callbacks):
        self.model, self.optimizer, self.criterion = model, optimizer, criterion
        self.callbacks = callbacks

    def emit(self, event):
        for cb in self.callbacks:
            getattr(cb, event)(self)

    def fit(self, batches):
        for self.batch_idx, (x, y) in enumerate(batches):
            self.emit("on_batch_start")
            self.loss = self.criterion(self.model(x), y)
            self.loss.backward()
            self.emit("on_after_backward")
            self.optimizer.step()
            self.emit("on_batch_end")


class TabularNet(nn.Module):
    def __init__(self, cards, n_cont):
        super().__init__()
        self.embeds = nn.ModuleList(nn.Embedding(c, 4) for c in cards)
        self.bn = nn.BatchNorm1d(n_cont)
        self.mlp = nn.Sequential(nn.Linear(4 * len(cards) + n_cont, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        cats, conts = x
        parts = [e(cats[:, i]) for i, e in enumerate(self.embeds)]
        return self.mlp(torch.cat([*parts, self.bn(conts)], 1)).squeeze(1)


def houses(n_batches, size=64):
    for _ in range(n_batches):
        cats = torch.stack([torch.randint(5, (size,)), torch.randint(3, (size,))], 1)
        conts = torch.randn(size, 3)
        yield (cats, conts), cats[:, 0] * 0.5 + conts.sum(1) + (cats[:, 1] == 2)


torch.manual_seed(22)
model = TabularNet([5, 3], 3)
loop = Loop(model, torch.optim.Adam(model.parameters(), lr=0.01), nn.MSELoss(), [History(), GradientReset()])
loop.fit(houses(8))
