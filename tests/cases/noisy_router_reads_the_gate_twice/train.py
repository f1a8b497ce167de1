import argparse
import torch
from torch import nn
import torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument("--experts", type=int, default=4)
ap.add_argument("--k", type=int, default=2)
ap.add_argument("--balance", type=float, default=0.02)
ap.add_argument("--steps", type=int, default=40)
args, _ = ap.parse_known_args([])


class SparseMoE(nn.Module):
    def __init__(self, dim, n, k):
        super().__init__()
        self.k = k
        self.w_gate = nn.Parameter(torch.randn(dim, n) * 0.05)
        self.w_noise = nn.Parameter(torch.zeros(dim, n))
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim)) for _ in range(n)
        )

    def route(self, x):
        clean = x @ self.w_gate
        if not self.training:
            return clean
        spread = F.softplus(x @ self.w_gate) + 1e-2
        return clean + torch.randn_like(clean) * spread

    def forward(self, x):
        logits = self.route(x)
        top, where = logits.topk(self.k, dim=-1)
        gates = torch.zeros_like(logits).scatter(-1, where, top.softmax(-1))
        importance = gates.sum(0)
        cv2 = importance.var() / (importance.mean() ** 2 + 1e-8)
        out = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            rows = gates[:, e].nonzero(as_tuple=True)[0]
            if rows.numel():
                out = out.index_add(0, rows, gates[rows, e, None] * expert(x[rows]))
        return out, cv2


class Net(nn.Module):
    def __init__(self, dim=20, classes=6):
        super().__init__()
        self.stem = nn.Linear(10, dim)
        self.moe = SparseMoE(dim, args.experts, args.k)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        h = torch.tanh(self.stem(x))
        y, aux = self.moe(h)
        return self.head(self.norm(h + y)), aux


torch.manual_seed(21)
net = Net()
decay = [p for n, p in net.named_parameters() if p.ndim > 1]
other = [p for n, p in net.named_parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": other, "weight_decay": 0.0}], lr=2e-3)

rule = torch.randn(10, 6)
for i in range(args.steps):
    x = torch.randn(96, 10)
    y = (x.abs() @ rule).argmax(-1)
    logits, aux = net(x)
    loss = F.cross_entropy(logits, y) + args.balance * aux
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    if i % 10 == 0:
        print(i, round(loss.item(), 3), "balance", round(aux.item(), 3))
