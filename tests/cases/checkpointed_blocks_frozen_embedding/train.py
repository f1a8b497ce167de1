import argparse
import warnings

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

warnings.filterwarnings("ignore")


class EncoderLayer(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self, depth, dim, heads):
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(dim, heads) for _ in range(depth))
        self.gradient_checkpointing = False

    def forward(self, x):
        for layer in self.layers:
            if self.gradient_checkpointing and self.training:
                x = checkpoint(layer, x, use_reentrant=True)
            else:
                x = layer(x)
        return x


class SentenceClassifier(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.embeddings = nn.Embedding(args.vocab, args.dim)
        self.encoder = Encoder(args.depth, args.dim, 2)
        self.classifier = nn.Linear(args.dim, 2)

    def forward(self, ids):
        return self.classifier(self.encoder(self.embeddings(ids)).mean(1))


parser = argparse.ArgumentParser()
for name, value in {"vocab": 40, "dim": 16, "depth": 2, "steps": 10}.items():
    parser.add_argument(f"--{name}", type=int, default=value)
args = parser.parse_args([])

torch.manual_seed(0)
clf = SentenceClassifier(args)
clf.embeddings.requires_grad_(False)
clf.encoder.gradient_checkpointing = True
opt = torch.optim.AdamW([p for p in clf.parameters() if p.requires_grad], lr=4e-3)
for step in range(args.steps):
    ids = torch.randint(args.vocab, (24, 7))
    label = ((ids < 12).sum(1) > 2).long()
    loss = nn.functional.cross_entropy(clf(ids), label)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"{step} {loss.item():.4f}")
