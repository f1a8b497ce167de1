import torch
from torch import nn


class KeywordNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.filterbank = nn.Conv1d(1, 12, 16, stride=8, bias=False)
        self.gru = nn.GRU(12, 16, batch_first=True)
        self.out = nn.Linear(16, 2)

    def log_energy(self, wave):
        energy = self.filterbank(wave) ** 2
        safe = torch.where(energy > 0, energy, torch.ones_like(energy))
        floor = torch.full_like(safe, -12.0)
        return torch.where(energy > 0, torch.log(energy), floor)

    def forward(self, wave):
        h = self.log_energy(wave).transpose(1, 2)
        return self.out(self.gru(h)[0][:, -1])


torch.manual_seed(1)
net = KeywordNet()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
time = torch.arange(160) / 160
for step in range(5):
    keyword = torch.randint(0, 2, (20,))
    wave = torch.sin(2 * torch.pi * (5 + 15 * keyword[:, None]) * time)[:, None] + 0.1 * torch.randn(20, 1, 160)
    wave[::4, :, 128:] = 0                       # short clips are zero padded
    loss = nn.functional.cross_entropy(net(wave), keyword)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step}: {loss.item():.4f}")
