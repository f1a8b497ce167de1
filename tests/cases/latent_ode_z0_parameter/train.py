import torch
import torch.nn as nn


class Field(nn.Module):
    def __init__(self, dim, hidden=32):
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden)
        self.lin2 = nn.Linear(hidden, dim)

    def forward(self, t, z):
        return self.lin2(torch.tanh(self.lin1(z)))


def rk4(f, z, times):
    states = [z]
    for t0, t1 in zip(times[:-1], times[1:]):
        h = t1 - t0
        k1 = f(t0, z)
        k2 = f(t0 + h / 2, z + h / 2 * k1)
        k3 = f(t0 + h / 2, z + h / 2 * k2)
        k4 = f(t1, z + h * k3)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        states.append(z)
    return torch.stack(states, dim=1)


def spirals(n, times):
    phase = torch.rand(n, 1) * 6.28
    radius = 1 + torch.rand(n, 1)
    decay = torch.exp(-0.3 * times)
    xy = torch.stack([torch.cos(times + phase), torch.sin(times + phase)], dim=-1)
    return radius[..., None] * decay[None, :, None] * xy


torch.manual_seed(7)
latent = 4
recognition = nn.GRU(2, 16, batch_first=True)
to_latent = nn.Linear(16, latent)
field = Field(latent)
readout = nn.Linear(latent, 2)
params = [p for m in (recognition, to_latent, field, readout) for p in m.parameters()]
optimizer = torch.optim.Adamax(params, lr=1e-2)
times = torch.linspace(0, 3, 12)

for it in range(8):
    traj = spirals(16, times)
    _, summary = recognition(traj.flip(1))
    z0 = nn.Parameter(to_latent(summary[0]))
    pred = readout(rk4(field, z0, times))
    loss = (pred - traj).square().mean() + 1e-3 * z0.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"[{it}] mse {loss.item():.4f}")
