import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(111)


class Vocab:
    def __init__(self):
        self.index = {}

    def ids(self, words):
        return torch.tensor([self.index.setdefault(w, len(self.index)) for w in words])


class Sentiment(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.words = nn.Embedding(12, dim)
        self.out = nn.Linear(dim, 2)

    def grow(self, size):
        if size > self.words.num_embeddings:
            bigger = nn.Embedding(size, self.words.embedding_dim)
            bigger.weight.data[: self.words.num_embeddings] = self.words.weight.data
            self.words = bigger

    def forward(self, ids):
        return self.out(torch.tanh(self.words(ids)).mean(0))


reviews = [("good plot good actors", 1), ("bad plot", 0), ("good music", 1), ("bad bad music", 0), ("good", 1), ("bad actors", 0)]
vocab, model = Vocab(), Sentiment()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)

for epoch in range(2):
    for text, label in reviews:
        ids = vocab.ids(text.split() + ["<end>", "<pad>", "<unk>"])
        model.grow(len(vocab.index))
        loss = F.cross_entropy(model(ids).unsqueeze(0), torch.tensor([label]))
        model.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"{text!r:26} loss {loss.item():.4f} vocabulary {len(vocab.index)}")
