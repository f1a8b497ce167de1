import torch
import torch.nn as nn
import torch.nn.functional as F
from dataclasses import dataclass


@dataclass
class Options:
    n_genes: int = 30
    lr: float = 3e-3
    risk_weight: float = 1.0
    iterations: int = 9
    seed: int = 6


class OutputNorm(nn.Module):
    def __init__(self, n, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))
        self.bias = nn.Parameter(torch.zeros(n))
        self.eps = eps

    def forward(self, x):
        centred = x - x.mean(-1, keepdim=True)
        rms = (centred.pow(2).mean(-1, keepdim=True) + self.eps).sqrt()
        return self.weight * centred / rms + self.bias


class Head(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.hidden = nn.Linear(n_in, n_in)
        self.score = nn.Linear(n_in, n_out)
        self.norm = OutputNorm(n_out) if n_out > 1 else nn.Identity()

    def forward(self, h):
        return self.norm(self.score(F.silu(self.hidden(h))))


class TumourNet(nn.Module):
    def __init__(self, n_genes):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(n_genes, 64), nn.SiLU(), nn.Linear(64, 32))
        self.stage = Head(32, 4)
        self.risk = Head(32, 1)

    def forward(self, genes):
        h = self.trunk(genes)
        return self.stage(h), self.risk(h).squeeze(-1)


def cohort(opts, n=96):
    genes = torch.randn(n, opts.n_genes)
    hazard = genes[:, :3].sum(1)
    time = -torch.log(torch.rand(n)) * torch.exp(-hazard)
    stage = torch.bucketize(genes[:, 3], torch.tensor([-0.7, 0.0, 0.7]))
    return genes, time, stage


if __name__ == "__main__":
    opts = Options()
    torch.manual_seed(opts.seed)
    net = TumourNet(opts.n_genes)
    optimizer = torch.optim.Adam(net.parameters(), lr=opts.lr)
    for i in range(opts.iterations):
        genes, time, stage = cohort(opts)
        stage_logits, risk = net(genes)
        stage_loss = F.cross_entropy(stage_logits, stage)
        risk_loss = F.binary_cross_entropy_with_logits(risk, (time < 1.0).float())
        loss = stage_loss + opts.risk_weight * risk_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(i, f"stage {stage_loss.item():.4f} death {risk_loss.item():.4f}")
