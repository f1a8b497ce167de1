import torch
from torch import nn


class BagEncoder(nn.Module):
    """mean of word vectors -> projection; works on (..., words)"""

    def __init__(self, vocab, dim):
        super().__init__()
        self.words = nn.Embedding(vocab, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, dim))

    def forward(self, ids):
        return self.mlp(self.words(ids).mean(-2))


class ChoiceScorer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.drop = nn.Dropout(0.0)
        self.hidden = nn.Linear(2 * dim, 2 * dim)
        self.linear = nn.Linear(2 * dim, 1)

    def forward(self, stem, choices):
        stem = stem.unsqueeze(1).expand_as(choices)
        pair = torch.cat([stem, choices], dim=-1)
        return self.linear(self.drop(torch.relu(self.hidden(pair)))).squeeze(-1)


class Difficulty(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, ids):
        return self.out(self.bag(ids)).squeeze(-1)
