import torch
from torch import nn
from losses import ColorConstancy, Exposure

torch.manual_seed(0)


class CurveNet(nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, n, 3, padding=1)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x):
        curves = torch.tanh(self.conv2(torch.relu(self.conv1(x))))
        for a in curves.split(1, 1):                 # one curve for the three colours
            x = x + a * (x.pow(2) - x)
        return x


enhance, exposure_meter = CurveNet(), nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
color, expo = ColorConstancy(), Exposure(0.6)
opt = torch.optim.Adam([*enhance.parameters(), *exposure_meter.parameters()], lr=1e-3)
for step in range(7):
    photo = torch.rand(4, 3, 8, 8) * 0.4
    if step >= 3:
        photo[1] = photo[1, :1]                      # a scanned black-and-white picture
    out = enhance(photo)
    meter = exposure_meter(photo)
    loss = 5 * color(out).mean() + expo(out) + (meter.flatten() - photo.mean((1, 2, 3))).abs().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
