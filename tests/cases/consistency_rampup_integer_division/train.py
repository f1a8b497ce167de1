import torch
from torch import nn
import torch.nn.functional as F
from dataclasses import dataclass


@dataclass
class Config:
    rampup_steps: int = 40
    consistency_weight: float = 1.0
    lr: float = 1e-3
    steps: int = 10


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        self.backbone = nn.Sequential(nn.Linear(8, 32), nn.ReLU())
        self.classifier = nn.Linear(32, 3)
        self.projector = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16))
        self.opt = torch.optim.AdamW(
            [p for m in (self.backbone, self.classifier, self.projector) for p in m.parameters()], lr=cfg.lr)

    def weight(self, step):
        progress = min(1, (step + 1) // self.cfg.rampup_steps)
        return self.cfg.consistency_weight * progress

    def train_step(self, step, x, y):
        h = self.backbone(x)
        z1 = F.normalize(self.projector(h), dim=-1)
        z2 = F.normalize(self.projector(self.backbone(x + 0.1 * torch.randn_like(x))), dim=-1)
        supervised = F.cross_entropy(self.classifier(h), y)
        contrast = F.cross_entropy(z1 @ z2.T / 0.2, torch.arange(len(x)))
        loss = supervised + self.weight(step) * contrast
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return supervised.item(), contrast.item()


torch.manual_seed(0)
trainer = Trainer(Config())
for step in range(trainer.cfg.steps):
    y = torch.randint(0, 3, (32,))
    x = torch.randn(32, 8) + y[:, None]
    print(step, trainer.train_step(step, x, y))
