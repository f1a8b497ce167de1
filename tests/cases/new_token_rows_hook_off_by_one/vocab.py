import torch
from torch import nn


def add_tokens(lm, tokens):
    old = lm.tok
    lm.old_vocab = old.num_embeddings
    new = nn.Embedding(old.num_embeddings + len(tokens), old.embedding_dim)
    with torch.no_grad():
        new.weight[: old.num_embeddings] = old.weight
    lm.tok = new


def train_only_new_rows(lm):
    keep = torch.zeros(lm.tok.num_embeddings, 1)
    keep[lm.tok.num_embeddings:] = 1
    lm.tok.weight.register_hook(lambda grad: grad * keep)
