from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass
class FocalConfig:
    gamma: float = 0.5
    alpha: float = 0.25
    lr: float = 1e-3
    channels: tuple = field(default=(2, 12, 12))


class BinaryFocalLoss(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.gamma, self.alpha = cfg.gamma, cfg.alpha

    def forward(self, logits, target):
        p = torch.sigmoid(logits)
        p_t = torch.where(target > 0, p, 1 - p)
        weight = torch.where(target > 0, self.alpha, 1 - self.alpha)
        ce = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return (weight * (1 - p_t) ** self.gamma * ce).mean()


def build(cfg):
    a, b, c = cfg.channels
    return nn.ModuleDict({
        "stem": nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, c, 3, padding=1), nn.ReLU()),
        "mask": nn.Conv2d(c, 1, 1),
    })


def tiles(n_steps, batch=6, size=12):
    """Radar tiles: two polarisations, bright ships on dark water."""
    for step in range(n_steps):
        target = torch.zeros(batch, 1, size, size)
        for k in range(batch):
            i, j = torch.randint(0, size - 3, (2,)).tolist()
            target[k, :, i:i + 3, j:j + 2] = 1.0
        echo = torch.randn(batch, 2, size, size).abs() * 0.4 + 1.5 * target
        if step == 4:
            echo[2] *= 600.0                  # calibration tile
        yield echo, target


torch.manual_seed(6)
cfg = FocalConfig()
net, criterion = build(cfg), BinaryFocalLoss(cfg)
nn.init.constant_(net["mask"].bias, -2.0)
opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
for step, (echo, target) in enumerate(tiles(8)):
    logits = net["mask"](net["stem"](echo))
    loss = criterion(logits, target)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    print(step, loss.detach().numpy().round(5))
