"""Small GoogLeNet-like classifier with a side classifier after the stem."""
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    classes: int = 5
    width: int = 16
    lr: float = 0.05
    epochs: int = 3
    batch: int = 32


class SideClassifier(nn.Module):
    def __init__(self, ch, classes):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.conv = nn.Conv2d(ch, 8, 1)
        self.out = nn.Linear(32, classes)

    def forward(self, x):
        return self.out(torch.relu(self.conv(self.pool(x))).flatten(1))


class MiniInception(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        w = cfg.width
        self.stem = nn.Sequential(nn.Conv2d(3, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU())
        self.tail = nn.Sequential(nn.Conv2d(w, w, 3, stride=2), nn.BatchNorm2d(w), nn.ReLU())
        self.aux = SideClassifier(w, cfg.classes)
        self.fc = nn.Linear(w, cfg.classes)

    def forward(self, x):
        x = self.stem(x)
        side = self.aux(x) if self.training else None
        x = self.tail(x).mean((2, 3))
        logits = self.fc(x)
        return (logits, side) if self.training else logits


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        self.net = MiniInception(cfg)
        self.criterion = nn.CrossEntropyLoss()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=0.9)

    def step(self, x, y):
        out = self.net(x)
        if isinstance(out, tuple):
            out = out[0]
        loss = self.criterion(out, y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()

    def fit(self, loader):
        for epoch in range(self.cfg.epochs):
            self.net.train()
            total = sum(self.step(x, y) for x, y in loader)
            print(f"epoch {epoch}: {total / len(loader):.4f}")


torch.manual_seed(0)
cfg = Config()
y = torch.randint(0, cfg.classes, (128,))
x = torch.randn(128, 3, 12, 12) + y[:, None, None, None] * 0.3
trainer = Trainer(cfg)
trainer.fit(DataLoader(TensorDataset(x, y), batch_size=cfg.batch, shuffle=True))
