import torch
from torch import nn
from spiking import LIF

torch.manual_seed(0)


class SNN(nn.Module):
    def __init__(self, n_in=12, hidden=24, classes=3):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(n_in, hidden), LIF(beta=0.9)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x, steps=6):
        mem = torch.zeros(len(x), self.fc1.out_features)
        out = 0.0
        for _ in range(steps):
            spk, mem = self.lif1(self.fc1(x), mem)
            out = out + self.fc2(spk)
        return out / steps


snn = SNN()
ann = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 3))
opt = torch.optim.Adam([*snn.parameters(), *ann.parameters()], lr=1e-3)
for epoch in range(6):
    y = torch.randint(0, 3, (20,))
    x = torch.randn(20, 12) + y[:, None]
    if epoch >= 2:
        x[0] = x[0] * 12                             # a saturated event camera
    loss = nn.functional.cross_entropy(snn(x), y) + nn.functional.cross_entropy(ann(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
