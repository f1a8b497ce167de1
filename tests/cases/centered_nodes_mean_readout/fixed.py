import torch
from torch import nn
from torch.nn import functional as F


def ring_with_chords(n, k, generator):
    adj = torch.zeros(n, n)
    idx = torch.arange(n)
    adj[idx, (idx + 1) % n] = 1
    chords = torch.randint(n, (2, k), generator=generator)
    adj[chords[0], chords[1]] = 1
    adj = ((adj + adj.T) > 0).float() + torch.eye(n)
    return adj / adj.sum(1, keepdim=True)


class GraphLayer(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.own = nn.Linear(n_in, n_out)
        self.neigh = nn.Linear(n_in, n_out, bias=False)

    def forward(self, adj, h):
        return self.own(h) + self.neigh(adj @ h)


class GraphEncoder(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(GraphLayer(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, adj, h):
        for layer in self.layers[:-1]:
            h = torch.tanh(layer(adj, h))
        h = self.layers[-1](adj, h)
        return F.layer_norm(h, h.shape[-1:])


class GraphClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = GraphEncoder([5, 16, 16, 8])
        self.head = nn.Linear(8 + 2, 3)

    def forward(self, adj, x):
        nodes = self.encoder(adj, x)
        pooled = nodes.mean(0)
        stats = torch.stack([(adj > 0).float().sum() / adj.numel(), x.std()])
        return self.head(torch.cat([pooled, stats]))


torch.manual_seed(2)
gen = torch.Generator().manual_seed(5)
model = GraphClassifier()
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(4):
    total = 0.0
    for _ in range(2):
        opt.zero_grad()
        for _ in range(6):
            label = int(torch.randint(3, (1,), generator=gen))
            adj = ring_with_chords(16, 4 + 8 * label, gen)
            x = torch.randn(16, 5, generator=gen) + 0.5 * label
            loss = F.cross_entropy(model(adj, x)[None], torch.tensor([label])) / 6
            loss.backward()
            total += loss.item()
        opt.step()
    print("epoch", epoch, "loss", round(total / 2, 4))
