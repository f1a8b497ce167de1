import torch
from torch import nn

torch.manual_seed(8)


class GraphConv(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.weight = None

    def forward(self, x, adj):
        return adj @ (x @ self.weight)


class EvolveGCNO(nn.Module):
    """The weight of the graph convolution is the hidden state of a GRU."""

    def __init__(self, dim):
        super().__init__()
        self.recurrent = nn.GRU(dim, dim)
        self.initial_weight = nn.Parameter(torch.empty(dim, dim))
        nn.init.xavier_uniform_(self.initial_weight)
        self.conv = GraphConv(dim)
        self.weight = None

    def reset(self):
        self.weight = None

    def forward(self, x, adj):
        w = self.initial_weight if self.weight is None else self.weight
        _, w = self.recurrent(w.unsqueeze(0), w.unsqueeze(0))
        self.weight = w.squeeze(0)
        self.conv.weight = nn.Parameter(self.weight)
        return self.conv(x, adj)


class Net(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.evolve, self.decoder = EvolveGCNO(dim), nn.Linear(dim, 1)

    def forward(self, xs, adj):
        self.evolve.reset()
        return torch.stack([self.decoder(torch.relu(self.evolve(x, adj))) for x in xs])


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
adj = torch.softmax(torch.randn(10, 10), dim=1)
for epoch in range(5):
    xs = torch.randn(4, 10, 8)
    y = xs.mean(dim=2, keepdim=True)
    cost = (net(xs, adj) - y).pow(2).mean()
    cost.backward()
    optimizer.step()
    optimizer.zero_grad()
    print(epoch, cost.item())
