import itertools

import torch
from torch import nn


class ImageConditionedReader(nn.Module):
    """Reads a long report and says whether it belongs to the image."""

    def __init__(self, vocab=30, dim=20):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 6, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 9, dim), nn.Tanh())
        self.words = nn.Embedding(vocab, dim)
        self.cell = nn.RNNCell(dim, dim)
        self.score = nn.Linear(dim, 2)

    def unroll(self, h, report):
        for word in self.words(report).unbind(1):
            h = self.cell(word, h)
        return h

    def forward(self, image, report):
        picture = self.encoder(image)
        h = self.unroll(picture, report)
        return self.score(h + picture)


def pairs(batch=24, length=32):
    while True:
        image = torch.randn(batch, 1, 12, 12)
        report = torch.randint(2, 30, (batch, length))
        match = torch.randint(2, (batch,))
        bright = image.mean((1, 2, 3)) > 0
        report[:, -1] = torch.where(match.bool() == bright, 1, 0)
        yield image, report, match


class Early:
    def __init__(self, patience):
        self.best, self.bad, self.patience = float("inf"), 0, patience

    def stop(self, value):
        self.bad = 0 if value < self.best else self.bad + 1
        self.best = min(self.best, value)
        return self.bad > self.patience


torch.manual_seed(0)
net = ImageConditionedReader()
optimizer = torch.optim.Adagrad(net.parameters(), lr=1e-2)
early = Early(patience=20)
for i, (image, report, match) in enumerate(itertools.islice(pairs(), 8)):
    loss = nn.functional.cross_entropy(net(image, report), match)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(i, f"{loss.item():.4f}")
    if early.stop(loss.item()):
        break
