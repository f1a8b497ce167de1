import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(405)
LANGUAGES = ["de", "fi", "sw"]


class Adapters(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.words = nn.Embedding(50, d)
        self.adapters = nn.ModuleDict({l: nn.Sequential(nn.Linear(d, 6), nn.ReLU(), nn.Linear(6, d)) for l in LANGUAGES})
        self.tag = nn.Linear(d, 5)

    def forward(self, ids, lang):
        h = self.words(ids)
        return self.tag(h + self.adapters[lang](h))


def fill_missing(params):
    return [p for p in params if p.grad is not None]


model = Adapters()
params = list(model.parameters())
optimizer = torch.optim.AdamW(params, lr=3e-3, weight_decay=0.1)
plan = ["sw", "de", "fi", "de", "fi", "de", "fi"]        # sw: pretrained, one batch of replay
for step, lang in enumerate(plan):
    ids = torch.randint(0, 50, (12, 6))
    loss = F.cross_entropy(model(ids, lang).flatten(0, 1), (ids % 5).flatten())
    optimizer.zero_grad()
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in fill_missing(params)]).norm()
    optimizer.step()
    print(f"{step} {lang} loss {loss.item():.4f} norm {norm.item():.3f} sw {model.adapters['sw'][0].weight.norm().item():.5f}")
