import torch
from torch import nn
import torch.nn.functional as F


class Seq2Seq(nn.Module):
    def __init__(self, vocab=30, dim=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.decoder = nn.GRU(dim, dim, batch_first=True)
        self.generator = nn.Linear(dim, vocab, bias=False)
        self.generator.weight = self.embed.weight

    def forward(self, src, tgt):
        _, h = self.encoder(self.embed(src))
        out, _ = self.decoder(self.embed(tgt), h)
        return self.generator(out)


class Optimizers:
    def __init__(self, model):
        sparse = [model.embed]
        dense = [model.encoder, model.decoder]
        self.all = [
            torch.optim.SGD([p for m in sparse for p in m.parameters()], lr=0.05),
            torch.optim.Adam([p for m in dense for p in m.parameters()], lr=2e-3),
        ]

    def zero_grad(self):
        for o in self.all:
            o.zero_grad()

    def step(self):
        for o in self.all:
            o.step()


torch.manual_seed(337)
model = Seq2Seq()
optimizers = Optimizers(model)
for step in range(5):
    src = torch.randint(0, 30, (10, 6))
    logits = model(src, src[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), src[:, 1:].flatten())
    optimizers.zero_grad()
    loss.backward()
    optimizers.step()
    print(step, f"{loss.item():.4f}")
