"""Minimum-risk training of a copy/reverse model with a jointly trained hypothesis scorer."""
import torch
from torch import nn
import torch.nn.functional as F

PAD, BOS, EOS, VOCAB, LEN = 0, 1, 2, 14, 5


class Seq2Seq(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.src = nn.Embedding(VOCAB, d)
        self.tgt = nn.Embedding(VOCAB, d)
        self.enc = nn.GRU(d, d, batch_first=True)
        self.dec = nn.GRUCell(d, d)
        self.proj = nn.Linear(d, VOCAB)

    def start(self, x):
        return self.enc(self.src(x))[1][0]

    def step(self, token, h):
        h = self.dec(self.tgt(token), h)
        return F.log_softmax(self.proj(h), dim=-1), h

    @torch.no_grad()
    def beam(self, x, width=4):
        B = x.shape[0]
        h = self.start(x).repeat_interleave(width, 0)
        seqs = torch.full((B * width, 1), BOS)
        score = torch.tensor([0.0] + [-1e9] * (width - 1)).repeat(B)
        for _ in range(LEN):
            logp, h = self.step(seqs[:, -1], h)
            total = (score[:, None] + logp).view(B, -1)
            score, flat = total.topk(width, dim=1)
            parent = (flat // VOCAB + torch.arange(B)[:, None] * width).view(-1)
            seqs = torch.cat([seqs[parent], (flat % VOCAB).view(-1, 1)], dim=1)
            h, score = h[parent], score.view(-1)
        return seqs[:, 1:].view(B, width, LEN), score.view(B, width)


class Scorer(nn.Module):
    """predicts the cost of a hypothesis, used as a learned control variate"""

    def __init__(self, d=24):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, d)
        self.mlp = nn.Sequential(nn.Linear(2 * LEN * d, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x, hyp):
        pair = torch.cat([x[:, None].expand_as(hyp), hyp], dim=-1)
        return self.mlp(self.emb(pair).flatten(2)).squeeze(-1)


torch.manual_seed(8)
model, scorer = Seq2Seq(), Scorer()
opt = torch.optim.Adam([{"params": model.parameters(), "lr": 1e-3},
                        {"params": scorer.parameters(), "lr": 1e-3}])

for update in range(10):
    x = torch.randint(3, VOCAB, (24, LEN))
    reference = x.flip(1)
    hyps, _ = model.beam(x)
    width = hyps.shape[1]
    h, logp, prev = model.start(x).repeat_interleave(width, 0), 0.0, torch.full((24 * width,), BOS)
    for t in range(LEN):
        lp, h = model.step(prev, h)
        prev = hyps[:, :, t].reshape(-1)
        logp = logp + lp.gather(1, prev[:, None]).view(24, width)
    cost = (hyps != reference[:, None]).float().mean(-1)
    guess = scorer(x, hyps)
    q = torch.softmax(0.5 * logp, dim=1)
    risk = (q * (cost - guess.detach())).sum(1).mean()
    loss = risk + F.mse_loss(guess, cost)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    print(f"update {update} risk {risk.item():+.4f} cost {cost.mean().item():.3f}")
