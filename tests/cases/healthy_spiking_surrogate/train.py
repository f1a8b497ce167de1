import torch
from torch import nn


class Spike(torch.autograd.Function):
    """Heaviside step forward, fast sigmoid derivative backward."""

    @staticmethod
    def forward(ctx, v, slope):
        ctx.save_for_backward(v)
        ctx.slope = slope
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):
        v, = ctx.saved_tensors
        return grad / (1 + ctx.slope * v.abs()) ** 2, None


class LIF(nn.Module):
    def __init__(self, n_in, n_out, threshold=1.0):
        super().__init__()
        self.synapse = nn.Linear(n_in, n_out)
        self.decay = nn.Parameter(torch.full((n_out,), 2.0))
        self.threshold = threshold

    def forward(self, spikes):
        v = torch.zeros(spikes.shape[1], self.synapse.out_features)
        out = []
        for current in self.synapse(spikes):
            v = torch.sigmoid(self.decay) * v + current
            s = Spike.apply(v - self.threshold, 5.0)
            v = v - s.detach() * self.threshold
            out.append(s)
        return torch.stack(out)


class SNN(nn.Module):
    def __init__(self, sizes=(12, 40, 40), n_classes=3):
        super().__init__()
        self.layers = nn.Sequential(*[LIF(a, b) for a, b in zip(sizes, sizes[1:])])
        self.decode = nn.Linear(sizes[-1], n_classes)

    def forward(self, spikes):
        counts = self.layers(spikes).mean(0)
        return self.decode(counts), counts


def poisson_code(y, steps=15):
    rates = torch.full((len(y), 12), 0.15)
    for k in range(4):
        rates[torch.arange(len(y)), y * 4 + k] = 0.8
    return torch.bernoulli(rates.expand(steps, -1, -1))


torch.manual_seed(2)
snn = SNN()
opt = torch.optim.Adamax(snn.parameters(), lr=1e-2)
for step in range(10):
    y = torch.randint(3, (48,))
    logits, counts = snn(poisson_code(y))
    loss = nn.functional.cross_entropy(logits, y) + 1e-2 * counts.pow(2).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        print(step, f"{loss.item():.4f} rate {counts.mean().item():.3f}")
