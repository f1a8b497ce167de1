import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(46)

cfg = dict(image_dim=48, text_dim=32, embed=16, lr=5e-4, steps=5, max_scale=100.0)


class Tower(nn.Module):
    def __init__(self, width, embed):
        super().__init__()
        self.ln = nn.LayerNorm(width)
        self.proj = nn.Linear(width, embed, bias=False)

    def forward(self, x):
        return F.normalize(self.proj(self.ln(x)), dim=-1)


class CLIP(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.visual = Tower(cfg["image_dim"], cfg["embed"])
        self.text = Tower(cfg["text_dim"], cfg["embed"])
        self.logit_scale = nn.Parameter(torch.ones([]) * math.log(1 / 0.07))
        self.max_scale = cfg["max_scale"]

    @property
    def temperature(self):
        # never scale the logits by more than 100
        return self.logit_scale.exp().clamp(max=self.max_scale)

    def forward(self, image, text):
        return self.visual(image), self.text(text), self.temperature


class ClipLoss(nn.Module):
    def forward(self, image_features, text_features, logit_scale):
        logits = logit_scale * image_features @ text_features.t()
        labels = torch.arange(len(logits))
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2


model, criterion = CLIP(cfg), ClipLoss()
decay = [p for p in model.parameters() if p.ndim >= 2]
no_decay = [p for p in model.parameters() if p.ndim < 2]
optimizer = torch.optim.AdamW([{"params": no_decay, "weight_decay": 0.0}, {"params": decay, "weight_decay": 0.2}], lr=cfg["lr"])
mix = torch.randn(cfg["image_dim"], cfg["text_dim"]) / cfg["image_dim"] ** 0.5
for step in range(cfg["steps"]):
    images = torch.randn(24, cfg["image_dim"])
    texts = images @ mix
    loss = criterion(*model(images, texts))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.4f} scale {model.logit_scale.exp().item():.3f}")
