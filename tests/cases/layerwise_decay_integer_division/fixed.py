from itertools import chain

import torch
import torch.nn.functional as F
from torch import nn


class Encoder(nn.Module):
    def __init__(self, vocab=64, dim=32, n_layers=4, heads=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.0, batch_first=True) for _ in range(n_layers)
        )

    def forward(self, ids):
        h = self.embed(ids)
        for layer in self.layers:
            h = layer(h)
        return h[:, 0]


def layer_groups(encoder, head, base_lr):
    stages = [encoder.embed, *encoder.layers]
    total = len(stages)
    for depth, stage in enumerate(stages):
        scale = (depth + 1) / total
        yield {"params": list(stage.parameters()), "lr": base_lr * scale, "name": f"stage{depth}"}
    yield {"params": list(head.parameters()), "lr": base_lr, "name": "head"}


def batch_of_pairs(n, length=6):
    ids = torch.randint(1, 64, (n, length))
    ids[:, 0] = 0
    return ids, (ids[:, 1] > ids[:, 2]).long()


torch.manual_seed(0)
encoder, head = Encoder(), nn.Linear(32, 2)
optimizer = torch.optim.AdamW(layer_groups(encoder, head, base_lr=2e-3), weight_decay=0.01)
n_params = sum(p.numel() for p in chain(encoder.parameters(), head.parameters()))
print(f"fine-tuning {n_params} parameters in {len(optimizer.param_groups)} groups")

for step in range(20):
    ids, labels = batch_of_pairs(32)
    loss = F.cross_entropy(head(encoder(ids)), labels)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(chain(encoder.parameters(), head.parameters()), 1.0)
    optimizer.step()
    if step % 5 == 0:
        print(f"step {step}: {loss.item():.4f}")
