import torch
from torch import nn

torch.manual_seed(0)

rain_net = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
wind_net = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))
rain_opt = torch.optim.Adam(rain_net.parameters(), lr=2e-3)
wind_opt = torch.optim.Adam(wind_net.parameters(), lr=2e-3)


def rmse(pred, truth):
    return torch.sqrt(((pred - truth) ** 2).mean())


for day in range(8):
    field = torch.randn(6, 2, 10, 10)
    rain = torch.relu(field[:, :1] - 0.5)
    if day == 3:
        rain = torch.zeros_like(rain)
    wet = (rain > 0).float()
    rain_loss = rmse(rain_net(field) * wet, rain)
    rain_opt.zero_grad()
    rain_loss.backward()
    rain_opt.step()

    wind_loss = rmse(wind_net(field), field.flip(1) * 0.5)
    wind_opt.zero_grad()
    wind_loss.backward()
    wind_opt.step()
    print("day", day, "rain", rain_loss.item(), "wind", wind_loss.item())
