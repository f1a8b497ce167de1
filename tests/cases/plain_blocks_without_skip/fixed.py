import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.ff = nn.Sequential(nn.Linear(dim, 2 * dim), nn.Tanh(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        return x + self.ff(x)


class Net(nn.Module):
    def __init__(self, dim=20, depth=20):
        super().__init__()
        self.embed = nn.Embedding(50, dim)
        self.blocks = nn.ModuleList([Block(dim) for _ in range(depth)])
        self.head = nn.Linear(dim, 2)

    def forward(self, ids):
        h = self.embed(ids).mean(1)
        for block in self.blocks:
            h = block(h)
        return self.head(h)


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for step in range(6):
    ids = torch.randint(0, 50, (64, 5))
    polarity = (ids.float().mean(1) > 25).long()
    loss = nn.functional.cross_entropy(net(ids), polarity)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
