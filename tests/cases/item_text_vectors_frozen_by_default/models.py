import torch
from torch import nn


class PretrainedTable(nn.Module):
    def __init__(self, vectors, pad=0):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(vectors, padding_idx=pad)

    @property
    def dim(self):
        return self.table.embedding_dim

    def forward(self, ids):
        return self.table(ids)


class NextItemModel(nn.Module):
    def __init__(self, vectors, hidden=24):
        super().__init__()
        self.item_vectors = PretrainedTable(vectors)
        self.gru = nn.GRU(self.item_vectors.dim, hidden, batch_first=True)
        self.to_item = nn.Linear(hidden, self.item_vectors.dim)

    def forward(self, history, candidates):
        _, h = self.gru(self.item_vectors(history))
        user = self.to_item(h[-1])
        return torch.einsum("bd,bnd->bn", user, self.item_vectors(candidates))
