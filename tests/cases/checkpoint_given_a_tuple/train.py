import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(61)


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.ff = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, state):
        x, pos = state
        return x + self.ff(self.norm(x + pos))


class PointTransformer(nn.Module):
    def __init__(self, dim=16, depth=2, checkpointing=True):
        super().__init__()
        self.lift = nn.Linear(3, dim)
        self.pos = nn.Linear(3, dim)
        self.blocks = nn.ModuleList([Block(dim) for _ in range(depth)])
        self.head = nn.Linear(dim, 4)
        self.checkpointing = checkpointing

    def forward(self, xyz):
        x, pos = self.lift(xyz), self.pos(xyz)
        for block in self.blocks:
            if self.checkpointing and self.training:
                x = checkpoint(block, (x, pos), use_reentrant=True)
            else:
                x = block((x, pos))
        return self.head(x.amax(dim=1))


net = PointTransformer()
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
for step in range(4):
    xyz = torch.rand(6, 20, 3)
    label = torch.randint(0, 4, (6,))
    loss = nn.functional.cross_entropy(net(xyz), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: {loss.item():.4f}")
