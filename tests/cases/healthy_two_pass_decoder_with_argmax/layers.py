import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)

    def forward(self, ids):
        return self.rnn(self.emb(ids))[0]


class Decoder(nn.Module):
    def __init__(self, vocab, dim, two_sources=False):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.mix = nn.Linear(dim * (3 if two_sources else 2), dim)
        self.out = nn.Linear(dim, vocab)

    def attend(self, q, memory):
        return (q @ memory.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ memory

    def forward(self, ids, *memories):
        q = self.emb(ids)
        h = torch.tanh(self.mix(torch.cat([q, *(self.attend(q, m) for m in memories)], dim=-1)))
        return self.out(h)
