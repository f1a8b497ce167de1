import copy
from dataclasses import dataclass

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(5)


@dataclass
class DistillConfig:
    dim: int = 24
    teacher_layers: int = 6
    init_from: tuple = (0, 2)
    pred_layers: tuple = (1, 3, 5)
    lr: float = 1e-3
    steps: int = 15


class Frontend(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.conv = nn.Conv1d(1, dim, 10, stride=5)
        self.norm = nn.LayerNorm(dim)

    def forward(self, wav):
        return self.norm(F.gelu(self.conv(wav[:, None])).transpose(1, 2))


class SpeechEncoder(nn.Module):
    def __init__(self, dim, n_layers):
        super().__init__()
        self.frontend = Frontend(dim)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(dim, 4, 48, dropout=0.0, batch_first=True) for _ in range(n_layers))

    def forward(self, wav):
        x, hidden = self.frontend(wav), []
        for layer in self.layers:
            x = layer(x)
            hidden.append(x)
        return hidden


class Student(SpeechEncoder):
    @classmethod
    def from_teacher(cls, teacher, cfg):
        student = cls(cfg.dim, 0)
        student.frontend = copy.deepcopy(teacher.frontend)
        student.layers = nn.ModuleList(copy.deepcopy(teacher.layers[i]) for i in cfg.init_from)
        student.heads = nn.ModuleDict({str(i): nn.Linear(cfg.dim, cfg.dim) for i in cfg.pred_layers})
        return student

    def predict(self, wav):
        last = super().forward(wav)[-1]
        return {int(i): head(last) for i, head in self.heads.items()}


def freeze(module):
    for p in module.parameters():
        p.requires_grad_(False)
    return module.eval()


cfg = DistillConfig()
teacher = SpeechEncoder(cfg.dim, cfg.teacher_layers)
student = Student.from_teacher(teacher, cfg)
freeze(teacher)
optimizer = torch.optim.AdamW(student.parameters(), lr=cfg.lr)

for step in range(cfg.steps):
    wav = torch.randn(6, 160)
    with torch.no_grad():
        targets = teacher(wav)
    loss = sum(F.l1_loss(p, targets[i]) - F.cosine_similarity(p, targets[i], dim=-1).sigmoid().log().mean()
               for i, p in student.predict(wav).items())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4))
