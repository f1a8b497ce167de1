import torch
from torch import nn
import torch.nn.functional as F


class Tagger(nn.Module):
    def __init__(self, vocab=30, d=16, tags=4):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.query, self.key, self.value = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.tag = nn.Linear(d, tags)

    def forward(self, ids):
        x = self.emb(ids)
        y = F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        return self.tag(x + y)


def train():
    torch.manual_seed(0)
    tagger = Tagger()
    opt = torch.optim.SGD(tagger.parameters(), lr=0.3)
    for step in range(8):
        ids = torch.randint(0, 30, (16, 12))
        loss = F.cross_entropy(tagger(ids).flatten(0, 1), (ids % 4).flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
        print("step", step, "loss", loss.item())


train()
