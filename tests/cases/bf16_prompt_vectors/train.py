import torch
from torch import nn


class FrozenLM(nn.Module):
    def __init__(self, vocab=32, d=16):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.mix = nn.GRU(d, d, batch_first=True)
        self.head = nn.Linear(d, vocab)
        self.requires_grad_(False)

    def forward(self, vectors):
        return self.head(self.mix(vectors)[0][:, -1])


class Prompt(nn.Module):
    def __init__(self, n=4, d=16, dtype=torch.bfloat16):
        super().__init__()
        start = torch.randn(n, d).sign() * (1 + torch.rand(n, d))
        self.vectors = nn.Parameter(start.to(dtype))

    def forward(self, words):
        return torch.cat([self.vectors.float().expand(len(words), -1, -1), words], dim=1)


torch.manual_seed(409)
lm, prompt, bias = FrozenLM(), Prompt(), nn.Linear(32, 32)
optimizer = torch.optim.AdamW(
    [{"params": prompt.parameters(), "lr": 1e-3}, {"params": bias.parameters(), "lr": 1e-2}], weight_decay=0.0)
for step in range(6):
    ids = torch.randint(0, 32, (16, 5))
    loss = nn.functional.cross_entropy(bias(lm(prompt(lm.emb(ids)))), ids[:, 0])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step} loss {loss.item():.4f}")
