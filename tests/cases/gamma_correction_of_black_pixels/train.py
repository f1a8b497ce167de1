import torch
from torch import nn

torch.manual_seed(0)


class ISP(nn.Module):
    def __init__(self):
        super().__init__()
        self.white_balance = nn.Parameter(torch.ones(3, 1, 1))
        self.colour = nn.Conv2d(3, 3, 1, groups=3, bias=False)
        nn.init.ones_(self.colour.weight)

    def to_srgb(self, linear):
        linear = linear.clamp(max=1.0)
        return linear ** (1 / 2.4)

    def forward(self, raw):
        rgb = self.colour(raw * self.white_balance)
        return self.to_srgb(rgb)


isp = ISP()
vignette = nn.Linear(2, 1)
opt = torch.optim.Adam([{"params": isp.parameters(), "lr": 1e-3}, {"params": vignette.parameters(), "lr": 1e-2}])
for step in range(5):
    scene = torch.rand(4, 3, 10, 10)
    raw = (scene * 0.8 - 0.08).clamp(min=0)            # black level subtracted
    xy = torch.rand(50, 2) - 0.5
    loss = (isp(raw) - scene ** (1 / 2.4)).abs().mean()
    loss = loss + (vignette(xy) - xy.square().sum(1, keepdim=True)).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
