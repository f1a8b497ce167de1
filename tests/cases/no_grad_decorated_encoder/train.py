import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(5)


class SentenceEncoder(nn.Module):
    def __init__(self, vocab=80, dim=24):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim, padding_idx=0)
        self.gru = nn.GRU(dim, dim, batch_first=True)

    @torch.no_grad()
    def encode(self, tokens):
        states, _ = self.gru(self.embed(tokens))
        mask = (tokens != 0).unsqueeze(-1)
        return (states * mask).sum(1) / mask.sum(1)

    def forward(self, tokens):
        return self.encode(tokens)


class NliHead(nn.Module):
    def __init__(self, dim=24, classes=3):
        super().__init__()
        self.mix = nn.Linear(4 * dim, 32)
        self.out = nn.Linear(32, classes)

    def forward(self, p, h):
        return self.out(torch.tanh(self.mix(torch.cat([p, h, (p - h).abs(), p * h], dim=-1))))


def batch(n=12):
    return torch.randint(1, 80, (n, 7)), torch.randint(1, 80, (n, 6)), torch.randint(0, 3, (n,))


def main():
    encoder, head = SentenceEncoder(), NliHead()
    optimizer = torch.optim.AdamW(list(encoder.parameters()) + list(head.parameters()), lr=2e-3)
    encoder.train()
    for step in range(5):
        premise, hypothesis, label = batch()
        logits = head(encoder(premise), encoder(hypothesis))
        loss = F.cross_entropy(logits, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} nli loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
