from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class FineTuneConfig:
    warmup_epochs: int = 1
    epochs: int = 4
    head_lr: float = 1e-2
    backbone_lr: float = 1e-3
    widths: list = field(default_factory=lambda: [3, 8, 16])


def conv_stack(widths):
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(2, b), nn.ReLU()]
    return nn.Sequential(*layers)


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        self.backbone = conv_stack(cfg.widths)
        self.head = nn.Linear(cfg.widths[-1], 5)
        self.backbone.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.head.parameters(), lr=cfg.head_lr)

    def on_epoch_start(self, epoch):
        if epoch == self.cfg.warmup_epochs:
            self.backbone.requires_grad = True
            self.optimizer.add_param_group({"params": list(self.backbone.parameters()), "lr": self.cfg.backbone_lr})

    def training_step(self, batch):
        images, labels = batch
        features = self.backbone(images).mean(dim=(2, 3))
        return F.cross_entropy(self.head(features), labels)

    def fit(self, loader):
        for epoch in range(self.cfg.epochs):
            self.on_epoch_start(epoch)
            running = 0.0
            for batch in loader:
                loss = self.training_step(batch)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                running += loss.item()
            print(f"epoch {epoch} loss {running / len(loader):.4f}")


def fake_loader(n_batches=6, batch=16):
    g = torch.Generator().manual_seed(9)
    proto = torch.randn(5, 3, 16, 16, generator=g)
    for_all = []
    for _ in range(n_batches):
        y = torch.randint(0, 5, (batch,), generator=g)
        for_all.append((proto[y] + torch.randn(batch, 3, 16, 16, generator=g), y))
    return for_all


torch.manual_seed(9)
trainer = Trainer(FineTuneConfig())
trainer.fit(fake_loader())
