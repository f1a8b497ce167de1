import torch
from torch import nn
import torch.nn.functional as F

from views import ViewPipeline, drop_channels, jitter


class EEGEncoder(nn.Module):
    def __init__(self, ch=6, dim=24):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(ch, 16, 7, padding=3), nn.ReLU(), nn.MaxPool1d(4),
                                  nn.Conv1d(16, dim, 5, padding=2), nn.ReLU())

    def forward(self, x):
        return self.conv(x).mean(-1)


def nt_xent(a, b, temperature=0.2):
    z = F.normalize(torch.cat([a, b]), dim=-1)
    sim = z @ z.t() / temperature
    sim = sim.masked_fill(torch.eye(len(z), dtype=torch.bool), -1e9)
    n = len(a)
    return F.cross_entropy(sim, (torch.arange(2 * n) + n) % (2 * n))


class ContrastivePretraining:
    def __init__(self):
        self.encoder = EEGEncoder()
        self.projector = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 16))
        self.pipeline = ViewPipeline([jitter, drop_channels, self.encoder])
        self.opt = torch.optim.Adam([{"params": self.encoder.parameters()},
                                     {"params": self.projector.parameters(), "lr": 2e-3}], lr=1e-3)

    def step(self, x):
        first, second = self.pipeline(x)
        loss = nt_xent(self.projector(first), self.projector(second))
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


torch.manual_seed(12)
task = ContrastivePretraining()
freq = torch.linspace(1, 9, 32)
time = torch.linspace(0, 3, 96)
for it in range(30):
    x = torch.sin(freq[:, None, None] * time + 6.28 * torch.rand(32, 6, 1))
    loss = task.step(x)
    if it % 10 == 0:
        print(f"[{it}] nt-xent {loss:.4f}")
task.pipeline.close()
