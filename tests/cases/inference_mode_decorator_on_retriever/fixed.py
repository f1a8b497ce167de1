import torch
from torch import nn
import torch.nn.functional as F

from retriever import Retriever

torch.manual_seed(18)


class Generator(nn.Module):
    def __init__(self, vocab=40, dim=16):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.lm = nn.Linear(dim, vocab)

    def forward(self, ids, evidence):
        h, _ = self.rnn(self.tok(ids) + evidence.unsqueeze(1))
        return self.lm(h)


def rag_loss(generator, retriever, ids):
    evidence = retriever.soft_lookup(ids)
    logits = generator(ids[:, :-1], evidence)
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def main():
    generator, retriever = Generator(), Retriever(n_docs=25)
    opts = {"gen": torch.optim.AdamW(generator.parameters(), lr=2e-3),
            "ret": torch.optim.AdamW(retriever.parameters(), lr=5e-4)}
    for step in range(5):
        ids = torch.randint(0, 40, (6, 8))
        loss = rag_loss(generator, retriever, ids)
        for o in opts.values():
            o.zero_grad()
        loss.backward()
        for o in opts.values():
            o.step()
        print(f"step {step} lm loss {loss.item():.4f}")


main()
