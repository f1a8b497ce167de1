import torch
from torch import nn


class Learner:
    def __init__(self, accumulate):
        self.accumulate = accumulate
        self.encoder = nn.Sequential(nn.Linear(15, 32), nn.LeakyReLU(), nn.Linear(32, 16))
        self.decoder = nn.Sequential(nn.LeakyReLU(), nn.Linear(16, 32), nn.LeakyReLU(), nn.Linear(32, 3))
        self.opt = torch.optim.SGD([*self.encoder.parameters(), *self.decoder.parameters()], lr=0.25)

    def micro_step(self, x, y):
        loss = nn.functional.mse_loss(self.decoder(self.encoder(x)), y)
        loss.backward()
        return loss.item()

    def fit(self, batches):
        total = 0.0
        for i, (x, y) in enumerate(batches, 1):
            total += self.micro_step(x, y)
            if i % self.accumulate == 0:
                self.opt.step()
                self.opt.zero_grad()
                print(f"update {i // self.accumulate} mean loss {total / self.accumulate:.4g}")
                total = 0.0


def micro_batches(n):
    for _ in range(n):
        x = torch.randn(4, 15)
        yield x, torch.stack([x[:, 0] + x[:, 1], x[:, 2] * 2, -x[:, 3]], 1)


torch.manual_seed(0)
learner = Learner(accumulate=25)
learner.fit(micro_batches(150))
