import copy

import torch
import torch.nn.functional as F
from torch import nn


class Backbone(nn.Module):
    def __init__(self, n_in, width):
        super().__init__()
        self.stem = nn.Linear(n_in, width)
        self.block = nn.Linear(width, width)

    def features(self, x):
        return F.silu(self.stem(x))

    def forward(self, x):
        x = self.features(x)
        return x + F.silu(self.block(x))


class Averager:
    def __init__(self, model, decay=0.98):
        self.model, self.decay = model, decay
        self.shadow = copy.deepcopy(model)

    @torch.no_grad()
    def update(self):
        for old, new in zip(self.shadow.parameters(), self.model.parameters()):
            old.mul_(self.decay).add_(new, alpha=1 - self.decay)


def train(backbone, head, averager, optimizer, batches):
    for x, y in batches:
        z = backbone(x)
        loss = F.cross_entropy(head(z), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        averager.update()


if __name__ == "__main__":
    torch.manual_seed(0)
    backbone, head = Backbone(10, 24), nn.Linear(24, 4)
    averager = Averager(backbone)
    optimizer = torch.optim.AdamW([*backbone.parameters(), *head.parameters()], lr=3e-3)
    batches = [(torch.randn(16, 10), torch.randint(0, 4, (16,))) for _ in range(20)]
    train(backbone, head, averager, optimizer, batches)
