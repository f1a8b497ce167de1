import math
import torch
from torch import nn


def softplus(x):
    return torch.log(1 + torch.exp(x))


class Heteroscedastic(nn.Module):
    def __init__(self, n_in=6, n_sensor=3):
        super().__init__()
        self.mean_net = nn.Sequential(nn.Linear(n_in, 24), nn.Tanh(), nn.Linear(24, 1))
        self.noise_net = nn.Sequential(nn.Linear(n_sensor, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, x, gain):
        return self.mean_net(x).squeeze(-1), softplus(self.noise_net(gain).squeeze(-1)) + 0.1


class Experiment:
    def __init__(self, steps):
        self.steps = steps
        self.gp = Heteroscedastic()
        self.opt = torch.optim.SGD(self.gp.parameters(), lr=1e-3)

    def data(self, step):
        x, gain = torch.randn(40, 6), torch.randn(40, 3)
        y = torch.sin(x[:, 0]) + 0.2 * gain[:, 0] * torch.randn(40)
        if step > self.steps // 2:
            gain[::8] *= 6000                  # millivolt instead of volt
        return x, gain, y

    def run(self):
        for step in range(self.steps):
            x, gain, y = self.data(step)
            mu, sigma = self.gp(x, gain)
            nll = (torch.log(sigma) + 0.5 * ((y - mu) / sigma) ** 2).mean() + 0.5 * math.log(2 * math.pi)
            self.opt.zero_grad()
            nll.backward()
            self.opt.step()
            print(f"{step}/{self.steps} nll {nll.item():.4f}")


torch.manual_seed(1)
experiment = Experiment(steps=8)
gp = experiment.gp
experiment.run()
