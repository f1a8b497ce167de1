import torch
from torch import nn
import torch.nn.functional as F
from types import SimpleNamespace

args = SimpleNamespace(batch=16, tokens=64, dim=24, vocab=50, accumulate=2, lr=0.1, aux=1.0)


def normalise(loss, ids):
    n_sequences, n_tokens = ids.shape
    return loss / args.accumulate


class TokenModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(args.vocab, args.dim)
        self.mix = nn.Conv1d(args.dim, args.dim, 3)
        self.out = nn.Linear(args.dim, args.vocab)

    def forward(self, ids):
        h = F.pad(self.table(ids).transpose(1, 2), (2, 0))
        return self.out(torch.relu(self.mix(h)).transpose(1, 2))


torch.manual_seed(0)
lm, length_model = TokenModel(), nn.Linear(1, 1)
opt_lm = torch.optim.SGD(lm.parameters(), lr=args.lr)
opt_len = torch.optim.SGD(length_model.parameters(), lr=args.lr)
for step in range(4):
    opt_lm.zero_grad()
    for micro in range(args.accumulate):
        start = torch.randint(0, args.vocab, (args.batch, 1))
        ids = (start + torch.arange(args.tokens + 1) * 3) % args.vocab
        logits = lm(ids[:, :-1])
        nll = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        normalise(nll, ids).backward()
    opt_lm.step()
    frac = torch.rand(args.batch, 1)
    len_loss = args.aux * (length_model(frac) - frac).square().mean()
    opt_len.zero_grad()
    len_loss.backward()
    opt_len.step()
    print(step, nll.item(), len_loss.item())
