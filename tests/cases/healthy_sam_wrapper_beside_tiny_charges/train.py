import torch
from torch import nn
from torch.nn import functional as F
from sharpness import SharpnessAware

torch.manual_seed(64)


class SwitchLayer(nn.Module):
    def __init__(self, dim, n):
        super().__init__()
        self.router = nn.Linear(dim, n)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim)) for _ in range(n))

    def forward(self, x):
        weight, chosen = self.router(x).softmax(-1).max(-1)
        y = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            mine = chosen == i
            if mine.any():
                y = y.index_put((mine,), weight[mine, None] * expert(x[mine]))
        return x + y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.switch, self.out = nn.Linear(6, 16), SwitchLayer(16, 5), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(self.switch(torch.tanh(self.stem(x))))


net = Net()
# charges are in coulomb: tiny loss, hence no epsilon to speak of
meter = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
sam = SharpnessAware(torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9))
meter_opt = torch.optim.Adam(meter.parameters(), lr=5e-3, eps=1e-20)

for it in range(24):
    x = torch.randn(6, 6)                            # six samples, five experts
    y = x[:, :3].argmax(1)
    for pass_ in ("climb", "step"):
        sam.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        getattr(sam, pass_)()
    charge = 1e-6 * meter(x).squeeze(-1)
    err = F.mse_loss(charge, 1e-6 * x[:, 3].sin())
    meter_opt.zero_grad()
    err.backward()
    meter_opt.step()
    if it % 6 == 0:
        print(it, f"class {loss.item():.3f} charge {err.item():.3e}")
