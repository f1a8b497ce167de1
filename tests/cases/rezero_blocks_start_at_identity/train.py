import torch
from torch import nn

torch.manual_seed(0)


class ReZeroBlock(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.alpha = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        x = x + self.alpha[0] * self.attn(x, x, x, need_weights=False)[0]
        return x + self.alpha[1] * self.mlp(x)


class Model(nn.Module):
    def __init__(self, dim=16, depth=3):
        super().__init__()
        self.inp = nn.Linear(3, dim)
        self.blocks = nn.Sequential(*[ReZeroBlock(dim) for _ in range(depth)])
        self.out = nn.Linear(dim, 1)

    def forward(self, x):
        return self.out(self.blocks(self.inp(x))).squeeze(-1)


model = Model()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(10):
    x = torch.randn(16, 8, 3)
    y = x[..., 0] * x[..., 1] + x[..., 2].mean(1, keepdim=True)
    loss = (model(x) - y).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
