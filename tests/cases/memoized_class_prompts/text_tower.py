import functools
import torch
from torch import nn


def memoize_by_names(method):
    store = {}

    @functools.wraps(method)
    def wrapper(self, names):
        key = (id(self), tuple(names))
        if key in store:
            return store[key]
        out = method(self, names)
        store[key] = out.detach()
        return out

    return wrapper


class TextTower(nn.Module):
    def __init__(self, vocab, dim=24):
        super().__init__()
        self.vocab = {w: i for i, w in enumerate(vocab)}
        self.token = nn.Embedding(len(vocab), dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)

    def forward(self, prompts):
        return self.rnn(prompts)[1][0]


class PromptLearner(nn.Module):
    def __init__(self, tower, n_ctx=4, dim=24):
        super().__init__()
        self.ctx = nn.Parameter(torch.randn(n_ctx, dim) * 0.2)
        self.lookup = lambda names: tower.token(torch.tensor([[tower.vocab[n]] for n in names]))

    def forward(self, names):
        words = self.lookup(names)
        return torch.cat([self.ctx.expand(len(names), -1, -1), words], dim=1)


class OpenVocabHead(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.tower = TextTower(vocab).requires_grad_(False)
        self.prompt_learner = PromptLearner(self.tower)
        self.visual_proj = nn.Linear(16, 24)
        self.scale = 10.0

    @memoize_by_names
    def class_embeddings(self, names):
        return nn.functional.normalize(self.tower(self.prompt_learner(names)), dim=-1)

    def forward(self, regions, names):
        v = nn.functional.normalize(self.visual_proj(regions), dim=-1)
        return self.scale * v @ self.class_embeddings(names).t()
