import torch
from torch import nn

torch.manual_seed(265)


class Kalman(nn.Module):
    def __init__(self, d=3):
        super().__init__()
        self.transition = nn.Linear(d, d, bias=False)
        self.emission = nn.Linear(d, 2, bias=False)

    def forward(self, z):
        z = self.transition(z)
        return z, self.emission(z)


def momentum_sgd(params, velocity, lr=0.05, beta=0.9):
    with torch.no_grad():
        for p, v in zip(params, velocity):
            v.mul_(beta).add_(p.grad)
            p -= lr * v
            p.grad = None


kalman = Kalman()
params = list(kalman.parameters())
velocity = [torch.zeros_like(p) for p in params]
truth = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.8, 0.1], [0.0, 0.0, 0.7]])
for step in range(6):
    z = torch.randn(32, 3)
    nxt, seen = kalman(z)
    loss = (nxt - z @ truth.t()).pow(2).mean() + (seen - (z @ truth.t())[:, :2]).pow(2).mean()
    loss.backward()
    momentum_sgd(params, velocity)
    print("step", step, "loss", round(loss.item(), 4))
