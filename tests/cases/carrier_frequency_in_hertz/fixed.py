import torch
from torch import nn

torch.manual_seed(165)
CENTER = 2.4e9            # Hz


class Receiver(nn.Module):
    """Learns its carrier from the phase that is left in the symbols."""

    def __init__(self):
        super().__init__()
        self.carrier = nn.Parameter(torch.tensor(0.0))

    def forward(self, offset_hz, t):
        return torch.sin(2e-4 * (self.carrier - offset_hz) * t)


class Equalizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.taps = nn.Conv1d(1, 1, 5, padding=2)

    def forward(self, x):
        return self.taps(x.unsqueeze(1)).squeeze(1)


receiver, equalizer = Receiver(), Equalizer()
optimizer = torch.optim.Adam([
    {"params": receiver.parameters(), "lr": 10.0},
    {"params": equalizer.parameters(), "lr": 1e-3},
])
t = torch.linspace(0.5, 2.0, 20)
for burst in range(6):
    offset = 400 + 20 * torch.randn(8, 1)
    symbols = equalizer(receiver(offset, t))
    loss = symbols.pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("burst", burst, "residual", f"{loss.item():.6f}")
