import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


class Summarizer(nn.Module):
    def __init__(self, vocab=40, dim=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.salience = nn.Linear(dim, 1)

    def forward(self, ids):
        return self.salience(self.encoder(self.embed(ids))[0]).squeeze(-1)


class Warmup:
    def __init__(self, optimizer, steps):
        self.steps = steps
        self.scheduler = LambdaLR(optimizer, self.factor)

    def factor(self, step):
        return min(1.0, (step + 1) // self.steps)


def train():
    torch.manual_seed(129)
    model = Summarizer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    warmup = Warmup(optimizer, steps=100)
    for step in range(8):
        ids = torch.randint(0, 40, (8, 12))
        loss = nn.functional.binary_cross_entropy_with_logits(model(ids), (ids < 10).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warmup.scheduler.step()
        print(step, f"loss {loss.item():.4f}")
    return model


model = train()
