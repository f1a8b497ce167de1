import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w1, self.w2 = nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, x):
        return x + self.w2(torch.relu(self.w1(x)))


class BagLM(nn.Module):
    def __init__(self, vocab=36, d=32, depth=6):
        super().__init__()
        self.tok = nn.Embedding(vocab, d)
        self.blocks = nn.Sequential(*[Block(d) for _ in range(depth)])
        self.out = nn.Linear(d, vocab)

    def forward(self, ids):
        return self.out(self.blocks(self.tok(ids).mean(1)))


def reset(model):
    for name, p in model.named_parameters():
        if p.dim() == 2:
            nn.init.uniform_(p, -1, 1)
        else:
            nn.init.zeros_(p)


def main():
    torch.manual_seed(0)
    lm = BagLM()
    reset(lm)
    opt = torch.optim.Adam(lm.parameters(), lr=1e-3)
    for it in range(7):
        ids = torch.randint(0, 36, (64, 5))
        loss = nn.functional.cross_entropy(lm(ids[:, :4]), ids[:, 0])
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(it, loss.item())


main()
