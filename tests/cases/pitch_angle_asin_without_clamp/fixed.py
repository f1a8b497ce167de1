import torch
from torch import nn

CFG = dict(steps=8, batch=64, lr=2e-3, horizon=4)


class Attitude(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 32), nn.ELU(), nn.Linear(32, 4))

    def forward(self, imu):
        q = self.net(imu) + torch.tensor([0.8, 0.0, 0.8, 0.0])
        return q / q.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def euler(q):
    w, x, y, z = q.unbind(-1)
    roll = torch.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = torch.asin((2 * (w * y - x * z)).clamp(-0.9999, 0.9999))
    return roll, pitch


def climb(n):
    """rocket phase: nose up"""
    imu = torch.randn(n, 6) * 0.1
    return imu, torch.full((n,), 1.1) + 0.02 * torch.randn(n)


def run(cfg):
    torch.manual_seed(0)
    attitude, bias = Attitude(), nn.Linear(6, 6)
    optim = {"attitude": torch.optim.Adam(attitude.parameters(), cfg["lr"]), "bias": torch.optim.Adam(bias.parameters(), cfg["lr"])}
    for step in range(cfg["steps"]):
        imu, target = climb(cfg["batch"])
        _, pitch = euler(attitude(imu))
        losses = {"attitude": (pitch - target).square().mean(), "bias": (bias(imu) - imu.mean(0)).square().mean()}
        for name, loss in losses.items():
            optim[name].zero_grad()
            loss.backward()
            optim[name].step()
        print(step, {k: round(v.item(), 4) for k, v in losses.items()})


run(CFG)
