import torch
from torch import nn, optim
import torch.nn.functional as F


class DenseGAT(nn.Module):
    def __init__(self, n_in, n_out, slope=0.2):
        super().__init__()
        self.proj = nn.Linear(n_in, n_out, bias=False)
        self.src = nn.Linear(n_out, 1, bias=False)
        self.dst = nn.Linear(n_out, 1, bias=False)
        self.slope = slope

    def forward(self, x, adj):
        h = self.proj(x)
        e = F.leaky_relu(self.dst(h) + self.src(h).T, self.slope)
        e = e.masked_fill(adj == 0, float("-inf"))
        alpha = torch.softmax(e, dim=1)
        return F.elu(alpha @ h)


def snapshots(n_nodes=20, n_steps=8):
    """A contact network that loses and gains edges over time."""
    g = torch.Generator().manual_seed(3)
    ring = torch.eye(n_nodes).roll(1, 0)
    base = ring + ring.T
    for t in range(n_steps):
        extra = (torch.rand(n_nodes, n_nodes, generator=g) < 0.1).float().triu(1)
        adj = ((base + extra + extra.T) > 0).float().fill_diagonal_(0)
        if t >= 3:
            adj[7, :] = 0
            adj[:, 7] = 0
        x = torch.randn(n_nodes, 6, generator=g)
        y = (adj @ x[:, 0] > 0).long()
        yield x, adj, y


torch.manual_seed(0)
gat, head = DenseGAT(6, 12), nn.Linear(12, 2)
opt = optim.RMSprop([*gat.parameters(), *head.parameters()], lr=5e-3)
for t, (x, adj, y) in enumerate(snapshots()):
    active = adj.sum(1) > 0
    nodes = gat(x, adj)
    logits = head(nodes[active])
    loss = F.cross_entropy(logits, y[active])
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"t={t} active={int(active.sum())} loss={loss.item():.4f}")
