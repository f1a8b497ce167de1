import torch
from torch import nn


class ConditionedRNN(nn.Module):
    def __init__(self, n_context, width=24):
        super().__init__()
        self.context_encoder = nn.Sequential(nn.Linear(n_context, 32), nn.Tanh(), nn.Linear(32, width))
        self.cell = nn.RNNCell(width, width)
        self.readout = nn.Linear(width, 1)

    def forward(self, context, signal):
        ctx = self.context_encoder(context)
        h = torch.zeros_like(ctx)
        for t in range(signal.shape[1]):
            h = self.cell(signal[:, t] + ctx, h)
        return self.readout(h)


class PatientStays:
    """age, sex, ... and 28 measurements per stay"""

    def __init__(self, n, length=28, width=24, seed=1):
        g = torch.Generator().manual_seed(seed)
        self.context = torch.randn(n, 5, generator=g)
        self.signal = torch.randn(n, length, width, generator=g)
        self.outcome = self.context[:, :1] + self.signal[:, -5:].mean((1, 2)).unsqueeze(1)

    def minibatches(self, size):
        for rows in torch.randperm(len(self.context)).split(size):
            yield self.context[rows], self.signal[rows], self.outcome[rows]


torch.manual_seed(1)
stays = PatientStays(320)
model = ConditionedRNN(5)
optimiser = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for epoch in range(2):
    losses = []
    for context, signal, outcome in stays.minibatches(64):
        loss = nn.functional.smooth_l1_loss(model(context, signal), outcome)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    print("epoch", epoch, "loss", sum(losses) / len(losses))
