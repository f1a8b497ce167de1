from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_


@dataclass
class TrainerConfig:
    lr: float = 1.0
    max_norm: float = 1.0
    amp: bool = True
    steps: int = 8


class SleepStager(nn.Module):
    def __init__(self, channels=3, hidden=16, stages=4):
        super().__init__()
        self.conv = nn.Conv1d(channels, hidden, 9, stride=4)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.stage = nn.Linear(hidden, stages)

    def forward(self, eeg):
        h = torch.relu(self.conv(eeg)).transpose(1, 2)
        return self.stage(self.gru(h)[0].mean(1))


class Trainer:
    def __init__(self, model, cfg):
        self.model, self.cfg = model, cfg
        self.optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr)
        self.scaler = torch.amp.GradScaler("cpu", enabled=cfg.amp)
        self.log = []

    def backward(self, loss):
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        clip_grad_norm_(self.model.parameters(), self.cfg.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def fit(self, epochs):
        for eeg, stage in epochs:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.cfg.amp):
                logits = self.model(eeg)
            loss = nn.functional.cross_entropy(logits.float(), stage)
            self.backward(loss)
            self.log.append(loss.item())


def night(n, generator):
    for _ in range(n):
        stage = torch.randint(4, (32,), generator=generator)
        t = torch.arange(64) / 8.0
        wave = torch.sin((1 + stage)[:, None] * t)
        yield wave[:, None] * torch.tensor([1.0, 0.7, 0.4]).view(1, 3, 1) + 0.3 * torch.randn(32, 3, 64, generator=generator), stage


torch.manual_seed(0)
cfg = TrainerConfig()
trainer = Trainer(SleepStager(), cfg)
start = [p.detach().clone() for p in trainer.model.parameters()]
trainer.fit(night(cfg.steps, torch.Generator().manual_seed(1)))
moved = sum((p - s).norm() ** 2 for p, s in zip(trainer.model.parameters(), start)).sqrt().item()
print("losses", [round(v, 3) for v in trainer.log], "moved", f"{moved:.1e}")
