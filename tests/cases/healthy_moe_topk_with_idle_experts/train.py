import torch
from torch import nn
import torch.nn.functional as F


class Expert(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class MoE(nn.Module):
    def __init__(self, d=8, n=4, k=2):
        super().__init__()
        self.gate = nn.Linear(d, n, bias=False)
        self.experts = nn.ModuleList([Expert(d) for _ in range(n)])
        self.k = k

    def forward(self, x):
        prob = self.gate(x).softmax(-1)
        weight, chosen = prob.topk(self.k, dim=-1)
        weight = weight / weight.sum(-1, keepdim=True)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            row, slot = torch.where(chosen == i)
            if len(row) == 0:
                continue
            out = out.index_add(0, row, expert(x[row]) * weight[row, slot].unsqueeze(-1))
        load = F.one_hot(chosen[:, 0], len(self.experts)).float().mean(0)
        return out, len(self.experts) * (load * prob.mean(0)).sum()


torch.manual_seed(227)
moe, readout = MoE(), nn.Linear(8, 3)
optimizer = torch.optim.Adam([*moe.parameters(), *readout.parameters()], lr=3e-3)
for step in range(8):
    x = torch.randn(5, 8)            # so few tokens that experts often stay idle
    y, balance = moe(x)
    loss = F.cross_entropy(readout(x + y), x[:, :3].argmax(1)) + 0.01 * balance
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    idle = [i for i, e in enumerate(moe.experts) if e.up.weight.grad is None]
    print(f"step {step} loss {loss.item():.4f} idle experts {idle}")
