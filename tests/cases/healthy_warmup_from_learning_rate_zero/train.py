import math

import torch
from torch import nn

torch.manual_seed(247)
WARMUP, TOTAL = 4, 10


def schedule(step):
    if step < WARMUP:
        return step / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (TOTAL - WARMUP)))


class Classifier(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.inp = nn.Linear(9, d)
        self.layer = nn.TransformerEncoderLayer(d, 4, 32, dropout=0.0, batch_first=True)
        self.out = nn.Linear(d, 3)

    def forward(self, x):
        return self.out(self.layer(self.inp(x)).mean(1))


clf = Classifier()
optimizer = torch.optim.AdamW(clf.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
for step in range(TOTAL):
    x = torch.randn(16, 5, 9)
    loss = nn.functional.cross_entropy(clf(x), x.mean(1)[:, :3].argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} lr {scheduler.get_last_lr()[0]:.5f} loss {loss.item():.4f}")
    scheduler.step()
