import torch
from torch import nn
from fixed_moe import SwitchFFN


class Layer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mixer = nn.GRU(dim, dim, batch_first=True)
        self.ffn = SwitchFFN(dim, 2 * dim, experts=4)

    def forward(self, x):
        x = x + self.mixer(self.norm1(x))[0]
        y, balance = self.ffn(self.norm2(x))
        return x + y, balance


class LanguageModel(nn.Module):
    def __init__(self, vocab, dim=16, depth=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.layers = nn.ModuleList(Layer(dim) for _ in range(depth))
        self.head = nn.Linear(dim, vocab)

    def forward(self, ids):
        x, aux = self.embed(ids), 0.0
        for layer in self.layers:
            x, balance = layer(x)
            aux = aux + balance
        return self.head(x), aux / len(self.layers)


def text(batch, length, vocab):
    start = torch.randint(0, vocab, (batch, 1))
    stride = torch.randint(1, 4, (batch, 1))
    return (start + stride * torch.arange(length + 1)) % vocab


def train(steps=20, vocab=32, alpha=0.01):
    torch.manual_seed(19)
    lm = LanguageModel(vocab)
    optimizer = torch.optim.AdamW(lm.parameters(), lr=5e-3, weight_decay=0.0)
    for step in range(steps):
        ids = text(16, 12, vocab)
        logits, aux = lm(ids[:, :-1])
        nll = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        (nll + alpha * aux).backward()
        optimizer.step()
        print(f"step {step:2d} nll {nll.item():.4f} balance {aux.item():.3f}")
    return lm


if __name__ == "__main__":
    train()
