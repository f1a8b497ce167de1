import math

import torch
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base, rank=2, alpha=4):
        super().__init__()
        self.base = base
        for p in self.base.parameters():
            p.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, x):
        return self.base(x) + (x @ self.lora_a.t() @ self.lora_b.t()) * self.scale


def inject(model):
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Linear):
            setattr(model, name, LoRALinear(child))
        else:
            inject(child)
    return model


torch.manual_seed(225)
lm = nn.Sequential(nn.Embedding(30, 16), nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 30)))
lm.requires_grad_(False)
inject(lm)
trainable = [p for n, p in lm.named_parameters() if "lora_" in n]
optimizer = torch.optim.AdamW(trainable, lr=1e-2)
print("trainable", sum(p.numel() for p in trainable), "of", sum(p.numel() for p in lm.parameters()))
for step in range(6):
    ids = torch.randint(0, 30, (16,))
    loss = nn.functional.cross_entropy(lm(ids), (ids + 1) % 30)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, f"loss {loss.item():.4f}")
