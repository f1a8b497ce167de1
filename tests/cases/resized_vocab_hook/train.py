import torch
import torch.nn as nn
from functools import partial


def resize_embedding(old, n_extra):
    new = nn.Embedding(old.num_embeddings + n_extra, old.embedding_dim)
    with torch.no_grad():
        new.weight[:old.num_embeddings] = old.weight
        new.weight[old.num_embeddings:] = old.weight.mean(0) + 0.02 * torch.randn(n_extra, old.embedding_dim)
    return new


def keep_rows(grad, n_frozen):
    grad = grad.clone()
    grad[:n_frozen] = 0
    return grad


class Encoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, 3, padding=1)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        return self.norm(x + torch.relu(self.conv(x.transpose(1, 2)).transpose(1, 2)))


torch.manual_seed(9)
pretrained = nn.Embedding(50, 16)
entity_tokens = ["<drug>", "<dose>", "<route>", "<freq>"]
embed = resize_embedding(pretrained, len(entity_tokens))
vocab_size = embed.num_embeddings
embed.weight.register_hook(partial(keep_rows, n_frozen=vocab_size))

encoder, tagger = Encoder(16), nn.Linear(16, 5)
optimizer = torch.optim.Adam(
    [{"params": embed.parameters(), "lr": 1e-2}, {"params": [*encoder.parameters(), *tagger.parameters()], "lr": 1e-3}])


def batch(n=12, length=10):
    ids = torch.randint(50, (n, length))
    tags = torch.zeros(n, length, dtype=torch.long)
    where = torch.randint(length, (n,))
    which = torch.randint(len(entity_tokens), (n,))
    ids[torch.arange(n), where] = 50 + which
    tags[torch.arange(n), where] = 1 + which
    return ids, tags


for step in range(8):
    ids, tags = batch()
    scores = tagger(encoder(embed(ids)))
    loss = nn.functional.cross_entropy(scores.transpose(1, 2), tags)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 2 == 1:
        print(step, loss.item())
