import torch
from torch import nn


class MoE(nn.Module):
    def __init__(self, d=8, n=6):
        super().__init__()
        self.router = nn.Linear(d, n)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(d, d), nn.GELU()) for _ in range(n))

    def forward(self, x):
        prob = self.router(x).softmax(-1)
        weight, pick = prob.max(-1)
        y = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows = (pick == i).nonzero().squeeze(1)
            if len(rows):
                y = y.index_add(0, rows, weight[rows, None] * expert(x[rows]))
        load = torch.bincount(pick, minlength=prob.size(1)) / len(x)
        return x + y, (load * prob.mean(0)).sum() * prob.size(1)


torch.manual_seed(0)
moe, out = MoE(), nn.Linear(8, 1)
opt = torch.optim.Adam([*moe.parameters(), *out.parameters()], lr=5e-3)
for step in range(16):
    x = torch.randn(7, 8)
    y, balance = moe(x)
    loss = nn.functional.mse_loss(out(y), x.prod(1, keepdim=True)) + 0.01 * balance
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    print(step, loss.item(), sum(e[0].weight.grad is None for e in moe.experts), "experts idle")
