import torch
from torch import nn


class GNN(nn.Module):
    def __init__(self, dim=12):
        super().__init__()
        self.message = nn.Linear(dim, dim, bias=False)
        self.update = nn.GRUCell(dim, dim)

    def forward(self, h, adj):
        for _ in range(2):
            agg = adj @ self.message(h)
            agg = agg / agg.norm(dim=1, keepdim=True)
            h = self.update(agg, h)
        return h


def molecule(k, atoms=8):
    adj = (torch.rand(atoms, atoms) < 0.4).float()
    adj = ((adj + adj.T) > 0).float()
    adj[torch.arange(atoms), (torch.arange(atoms) + 1) % atoms] = 1
    if k == 3:
        adj[0, :] = 0            # a counter ion
        adj[:, 0] = 0
    return torch.randn(atoms, 12), adj


torch.manual_seed(8)
gnn = GNN()
readout = nn.Linear(12, 1)
optimizer = torch.optim.Adam([*gnn.parameters(), *readout.parameters()], lr=1e-3)
for k in range(6):
    atoms, adj = molecule(k)
    energy = readout(gnn(atoms, adj)).sum()
    target = atoms[:, 0].sum() + 0.1 * adj.sum()
    loss = nn.functional.smooth_l1_loss(energy, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"molecule {k} energy {energy.item():.3f} loss {loss.item():.3f}")
