import itertools
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

ACCUM_STEPS = 8
EPOCHS = 6


class Pairs(Dataset):
    """few-shot text pairs: is b a rotation of a?"""

    def __init__(self, n=32, length=6):
        g = torch.Generator().manual_seed(23)
        self.a = torch.randint(12, (n, length), generator=g)
        self.y = torch.arange(n) % 2
        other = torch.randint(12, (n, length), generator=g)
        self.b = torch.where(self.y[:, None] == 1, self.a.roll(2, dims=1), other)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.a[i], self.b[i], self.y[i]


class Matcher(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.embed = nn.Embedding(12, dim)
        layer = nn.TransformerEncoderLayer(dim, 2, 48, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.bilinear = nn.Bilinear(dim, dim, 2)

    def forward(self, a, b):
        a, b = (self.encoder(self.embed(s)).mean(1) for s in (a, b))
        return self.bilinear(a, b)


torch.manual_seed(23)
matcher = Matcher()
optimizer = torch.optim.AdamW(matcher.parameters(), lr=2e-3)
loader = DataLoader(Pairs(), batch_size=8, shuffle=True)
micro = itertools.count(1)

for epoch in range(EPOCHS):
    running = 0.0
    for step, (a, b, y) in enumerate(loader):
        loss = F.cross_entropy(matcher(a, b), y) / ACCUM_STEPS
        loss.backward()
        running += loss.item() * ACCUM_STEPS
        if next(micro) % ACCUM_STEPS == 0:
            nn.utils.clip_grad_norm_(matcher.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    print(f"epoch {epoch}: loss {running / len(loader):.4f}")
