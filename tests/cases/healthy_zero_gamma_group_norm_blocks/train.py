import torch
from torch import nn
import torch.nn.functional as F


class Branch(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.conv1 = nn.Conv1d(ch, ch, 3, padding=1)
        self.conv2 = nn.Conv1d(ch, ch, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(2, ch)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x):
        return self.norm(self.conv2(F.gelu(self.conv1(x))))


class ECGNet(nn.Module):
    def __init__(self, ch=12):
        super().__init__()
        self.stem = nn.Conv1d(2, ch, 7, padding=3)
        self.body = nn.ModuleList(Branch(ch) for _ in range(3))
        self.fc = nn.Linear(ch, 2)

    def forward(self, x):
        x = self.stem(x)
        for branch in self.body:
            x = x + branch(x)
        return self.fc(x.mean(-1))


torch.manual_seed(0)
net = ECGNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for step in range(8):
    beat = torch.randn(24, 2, 32)
    label = torch.randint(0, 2, (24,))
    beat[:, 0] += label[:, None] * 0.7
    loss = F.cross_entropy(net(beat), label)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
