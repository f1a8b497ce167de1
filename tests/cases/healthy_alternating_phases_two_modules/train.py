import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(249)


class Tokenizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(20, 6), nn.Linear(6, 20)

    def forward(self, x):
        return self.dec(torch.tanh(self.enc(x)))


tokenizer = Tokenizer()
prior = nn.GRU(6, 6, batch_first=True)
opt_tok = torch.optim.Adam(tokenizer.parameters(), lr=3e-3)
opt_prior = torch.optim.Adam(prior.parameters(), lr=3e-3)


def tokenizer_phase(n):
    prior.requires_grad_(False)
    tokenizer.requires_grad_(True)
    for _ in range(n):
        x = torch.randn(24, 20)
        loss = F.mse_loss(tokenizer(x), x)
        opt_tok.zero_grad()
        loss.backward()
        opt_tok.step()
    return loss.item()


def prior_phase(n):
    tokenizer.requires_grad_(False)
    prior.requires_grad_(True)
    for _ in range(n):
        codes = torch.tanh(tokenizer.enc(torch.randn(8, 7, 20)))
        out, _ = prior(codes[:, :-1])
        loss = F.mse_loss(out, codes[:, 1:])
        opt_prior.zero_grad()
        loss.backward()
        opt_prior.step()
    return loss.item()


for cycle in range(3):
    print("cycle", cycle, "tokenizer %.4f prior %.4f" % (tokenizer_phase(3), prior_phase(2)))
