import torch
from torch import nn


class SpikeRate(nn.Module):
    """stimulus -> firing rate per neuron"""

    def __init__(self, pixels=20, neurons=8):
        super().__init__()
        self.core = nn.Sequential(nn.Linear(pixels, 30), nn.Tanh())
        self.readout = nn.Linear(30, neurons)
        self.register_buffer("alive", (torch.arange(neurons) != 5).float())       # electrode 5 is broken

    def forward(self, stim):
        return nn.functional.softplus(self.readout(self.core(stim))) * self.alive


class PoissonNLL(nn.Module):
    def forward(self, rate, count):
        return (rate - count * torch.log(rate + 1e-6)).mean()


def fit(net, pupil, steps=5):
    loss_fn = PoissonNLL()
    optimizers = [torch.optim.Adam(m.parameters(), lr=2e-3) for m in (net, pupil)]
    for step in range(steps):
        stim = torch.randn(32, 20)
        spikes = torch.poisson(torch.exp(0.4 * stim[:, :8])) * net.alive
        losses = [loss_fn(net(stim), spikes), (pupil(stim) - stim.mean(1, keepdim=True)).abs().mean()]
        for opt, loss in zip(optimizers, losses):
            opt.zero_grad()
            loss.backward()
            opt.step()
        print(step, [round(x.item(), 3) for x in losses])


if __name__ == "__main__":
    torch.manual_seed(0)
    fit(SpikeRate(), nn.Linear(20, 1))
