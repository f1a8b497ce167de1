import torch
from torch import nn


class TinyLM(nn.Module):
    def __init__(self, vocab, dim=24):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.bias = nn.Parameter(torch.zeros(dim))

    def resize_token_embeddings(self, n):
        old = self.wte
        new = nn.Embedding(n, old.embedding_dim)
        with torch.no_grad():
            new.weight[: old.num_embeddings] = old.weight
        self.wte = new
        return new

    def forward(self, ids):
        h, _ = self.rnn(self.wte(ids))
        return (h + self.bias) @ self.wte.weight.t()  # tied output
