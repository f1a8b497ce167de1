import torch
from torch import nn

torch.manual_seed(0)


class Selector(nn.Module):
    """L0-like feature selection, annealed to a hard decision"""

    def __init__(self, n):
        super().__init__()
        self.logit = nn.Parameter(torch.randn(n))
        self.sharpness = 1.0

    def forward(self, x):
        gate = torch.sigmoid(self.sharpness * self.logit)
        return x * gate, gate.mean()


selector = Selector(16)
net = nn.Sequential(nn.Linear(16, 24), nn.ELU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam([*selector.parameters(), *net.parameters()], lr=5e-3)
weights = torch.randn(16) * (torch.arange(16) < 4)

for epoch in range(10):
    x = torch.randn(200, 16)
    y = x @ weights
    chosen, used = selector(x)
    loss = nn.functional.mse_loss(net(chosen).squeeze(1), y) + 0.05 * used
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    selector.sharpness = min(5.0, 1.2 * selector.sharpness)
    print(f"epoch {epoch} loss {loss.item():.4f} features used {used.item():.3f}")
