import torch
from torch import nn


class EdgeNet(nn.Module):
    """Message of an edge from both of its ends."""

    def __init__(self, dim):
        super().__init__()
        self.lin1 = nn.Linear(2 * dim, dim)
        self.lin2 = nn.Linear(dim, dim)

    def forward(self, a, b):
        return self.lin2(torch.relu(self.lin1(torch.cat([a, b], -1))))


class MoleculeNet(nn.Module):
    def __init__(self, atoms=7, dim=16, rounds=2):
        super().__init__()
        self.embed = nn.Embedding(atoms, dim)
        self.edges = EdgeNet(dim)
        self.update = nn.GRUCell(dim, dim)
        self.readout = nn.Linear(dim, 1)
        self.rounds = rounds

    def forward(self, z, src, dst, graph, n_graphs):
        h = self.embed(z)
        for _ in range(self.rounds):
            msg = self.edges(h[src], h[dst])
            inbox = torch.zeros_like(h)
            for e in range(len(dst)):
                inbox.data[dst[e]] += msg.data[e]
            h = self.update(inbox, h)
        pooled = torch.zeros(n_graphs, h.size(1)).index_add(0, graph, h)
        return self.readout(pooled).squeeze(-1)


torch.manual_seed(9)
net = MoleculeNet()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for step in range(4):
    z = torch.randint(0, 7, (20,))
    src, dst = torch.randint(0, 20, (30,)), torch.randint(0, 20, (30,))
    graph = torch.arange(20) // 5
    energy = torch.zeros(4).index_add(0, graph, z.float()) / 10
    loss = nn.functional.mse_loss(net(z, src, dst, graph, 4), energy)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "energy mse", f"{loss.item():.4f}")
