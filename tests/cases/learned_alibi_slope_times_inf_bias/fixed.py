import torch
from torch import nn


class AlibiAttention(nn.Module):
    def __init__(self, dim, heads, ctx):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.slope = nn.Parameter(2.0 ** -torch.arange(1.0, heads + 1).view(heads, 1, 1))
        pos = torch.arange(ctx)
        dist = (pos[None, :] - pos[:, None]).float()
        future = dist > 0
        self.register_buffer("dist", dist)
        self.register_buffer("future", future)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        score = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5
        score = score + self.slope * self.dist[:t, :t]
        score = score.masked_fill(self.future[:t, :t], float("-inf"))
        return (score.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(3, 16)
        self.attn = AlibiAttention(16, heads=4, ctx=14)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        h = self.inp(x)
        return self.out(h + self.attn(h))


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for step in range(6):
    series = torch.cumsum(torch.randn(16, 15, 3), 1) * 0.3
    loss = nn.functional.mse_loss(net(series[:, :-1]), series[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "mse", loss.item())
