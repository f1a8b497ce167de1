import torch
from torch import nn


class LinearSSM(nn.Module):
    def __init__(self, n_in, n):
        super().__init__()
        self.A = nn.Parameter(torch.randn(n, n) * 0.5)
        self.B = nn.Parameter(torch.randn(n_in, n) / n_in ** 0.5)

    def forward(self, u):
        x = torch.zeros(u.size(0), self.A.size(0))
        states = []
        for t in range(u.size(1)):
            x = x @ self.A + u[:, t] @ self.B
            states.append(x)
        return torch.stack(states, 1)


torch.manual_seed(0)
ssm, readout = LinearSSM(2, 12), nn.Linear(12, 1)
optimizer = torch.optim.SGD([*ssm.parameters(), *readout.parameters()], lr=1e-3)

for step in range(6):
    u = torch.randn(24, 50, 2)
    y = u.cumsum(1).mean(-1, keepdim=True) / 5
    loss = nn.functional.mse_loss(readout(ssm(u)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "loss", f"{loss.item():.4g}")
