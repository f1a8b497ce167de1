from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Config:
    n_mels: int = 20
    width: int = 32
    n_words: int = 6
    lr: float = 3e-3
    steps: int = 5


class AudioTrunk(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.conv1 = nn.Conv1d(cfg.n_mels, cfg.width, 5, padding=2)
        self.conv2 = nn.Conv1d(cfg.width, cfg.width, 5, stride=2, padding=2)

    def forward(self, mel):
        return torch.relu(self.conv2(torch.relu(self.conv1(mel)))).mean(dim=-1)


class KeywordSpotter:
    def __init__(self, cfg):
        self.cfg = cfg
        self.trunk = AudioTrunk(cfg)
        self.classifier = nn.Linear(cfg.width, cfg.n_words)
        self.optimizer = torch.optim.Adam(
            [*self.trunk.parameters(), *self.classifier.parameters()], lr=cfg.lr)

    def features(self, mel):
        return self.trunk(mel)

    def fit(self):
        for i in range(self.cfg.steps):
            mel = torch.randn(16, self.cfg.n_mels, 30)
            words = torch.randint(0, self.cfg.n_words, (16,))
            loss = nn.functional.cross_entropy(self.classifier(self.features(mel)), words)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            print(f"[{i + 1}/{self.cfg.steps}] ce={loss.item():.4f}")


torch.manual_seed(31)
spotter = KeywordSpotter(Config())
spotter.fit()
