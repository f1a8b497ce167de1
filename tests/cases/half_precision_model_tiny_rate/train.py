import torch
from torch import nn


class Lyrics(nn.Module):
    def __init__(self, vocab=24, dim=16):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.fc = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, ids):
        return self.out(self.norm(torch.relu(self.fc(self.emb(ids)))))


torch.manual_seed(163)
lyrics = Lyrics()
with torch.no_grad():
    for p in lyrics.parameters():                 # a "pretrained" checkpoint
        p.copy_(torch.where(p.abs() < 0.05, torch.full_like(p, 0.05), p))
lyrics = lyrics.half()
optimizer = torch.optim.SGD(lyrics.parameters(), lr=1e-5)

for step in range(6):
    ids = torch.randint(0, 24, (8, 10))
    logits = lyrics(ids[:, :-1]).float()
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, f"loss {loss.item():.4f}")
