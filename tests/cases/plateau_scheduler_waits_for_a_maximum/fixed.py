import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau


class Yield(nn.Module):
    def __init__(self):
        super().__init__()
        self.soil, self.weather = nn.Linear(7, 12), nn.GRU(3, 12, batch_first=True)
        self.out = nn.Linear(12, 1)

    def forward(self, soil, weather):
        _, h = self.weather(weather)
        return self.out(torch.tanh(self.soil(soil)) * h[-1]).squeeze(-1)


torch.manual_seed(401)
crop = Yield()
sgd = torch.optim.SGD(crop.parameters(), lr=0.05)
plateau = ReduceLROnPlateau(sgd, mode="min", factor=0.5, patience=5)

for season in range(8):
    total = 0.0
    for _ in range(2):
        soil, weather = torch.randn(16, 7), torch.randn(16, 6, 3)
        loss = (crop(soil, weather) - soil[:, 0] - 3.0).pow(2).mean()
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        total += loss.item() / 2
    plateau.step(total)
    print(f"season {season} lr {sgd.param_groups[0]['lr']:.1e} loss {total:.4f}")
