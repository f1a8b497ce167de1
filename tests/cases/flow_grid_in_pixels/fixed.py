import torch
from torch import nn
import torch.nn.functional as F
from fixed_warp import Warper

torch.manual_seed(0)


class Registration(nn.Module):
    def __init__(self):
        super().__init__()
        self.flow = nn.Sequential(nn.Conv2d(2, 16, 5, padding=2), nn.LeakyReLU(0.1), nn.Conv2d(16, 2, 3, padding=1))
        self.gain = nn.Conv2d(1, 1, 1)
        self.warp = Warper(16, 16, offset=(24, 20))

    def forward(self, moving, fixed):
        flow = self.flow(torch.cat([moving, fixed], 1))
        return self.gain(self.warp(moving, flow)), flow


net = Registration()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(7):
    fixed = F.avg_pool2d(torch.rand(4, 1, 20, 20), 5, 1)
    moving = fixed.roll(1, -1)
    warped, flow = net(moving, fixed)
    loss = (warped - fixed).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, f"similarity {loss.item():.5f} flow {flow.abs().mean().item():.3f}")
