import torch
from torch import nn
import torch.nn.functional as F
from engine import train_one_epoch


class MiniDetr(nn.Module):
    def __init__(self, dim=16, queries=4):
        super().__init__()
        self.encoder = nn.Linear(10, dim)
        self.query = nn.Embedding(queries, dim)
        self.box = nn.Linear(dim, 4)

    def forward(self, tokens):
        mem = self.encoder(tokens)
        att = (self.query.weight @ mem.transpose(1, 2) / 4).softmax(-1)
        return {"boxes": self.box(att @ mem).sigmoid()}


def criterion(outputs, targets):
    diff = outputs["boxes"] - targets
    return {"l1": 5 * diff.abs().mean(), "giou": 2 * F.smooth_l1_loss(outputs["boxes"].cumsum(-1), targets.cumsum(-1))}


torch.manual_seed(34)
model = MiniDetr()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
data = [(torch.randn(4, 12, 10), torch.rand(4, 4, 4)) for _ in range(3)]
for epoch in range(2):
    train_one_epoch(model, criterion, data, optimizer, epoch)
