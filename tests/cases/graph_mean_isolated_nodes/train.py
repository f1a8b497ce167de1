import torch
import torch.nn.functional as F
from torch import nn


def neighbour_mean(x, edges):
    src, dst = edges
    total = torch.zeros_like(x).index_add(0, dst, x[src])
    degree = torch.zeros(len(x)).index_add(0, dst, torch.ones(len(dst)))
    return total / degree[:, None]


class SageLayer(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.own = nn.Linear(d_in, d_out)
        self.neigh = nn.Linear(d_in, d_out, bias=False)

    def forward(self, x, edges):
        return self.own(x) + self.neigh(neighbour_mean(x, edges))


class SAGE(nn.Module):
    def __init__(self, *dims):
        super().__init__()
        self.layers = nn.ModuleList(SageLayer(a, b) for a, b in zip(dims, dims[1:]))

    def forward(self, x, edges):
        for layer in self.layers:
            x = F.relu(layer(x, edges))
        return x


def citation_graph(n=80, n_edges=200, n_isolated=4):
    topic = torch.randint(0, 3, (n,))
    src = torch.randint(0, n - n_isolated, (n_edges,))
    order = torch.randint(0, n - n_isolated, (n_edges, 8))
    match = (topic[order] == topic[src][:, None]).float().argmax(1)
    dst = order.gather(1, match[:, None]).squeeze(1)
    ring = torch.arange(n - n_isolated)
    edges = torch.stack([torch.cat([src, dst, ring]), torch.cat([dst, src, ring.roll(1)])])
    x = F.one_hot(topic, 3).float().repeat(1, 4) + torch.randn(n, 12)
    labelled = torch.arange(n) < n - n_isolated
    return x, edges, topic, labelled


torch.manual_seed(24)
x, edges, topic, labelled = citation_graph()
gnn, classifier = SAGE(12, 16, 16), nn.Linear(16, 3)
opt = torch.optim.Adam([{"params": gnn.parameters(), "weight_decay": 5e-4}, {"params": classifier.parameters()}], lr=1e-2)
for epoch in range(10):
    logits = classifier(gnn(x, edges))
    loss = F.cross_entropy(logits[labelled], topic[labelled])
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
