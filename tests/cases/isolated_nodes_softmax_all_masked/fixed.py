import torch
from torch import nn
import torch.nn.functional as F


class GATLayer(nn.Module):
    def __init__(self, n_in, n_out, heads):
        super().__init__()
        self.heads, self.dim = heads, n_out
        self.proj = nn.Linear(n_in, heads * n_out, bias=False)
        self.att_src = nn.Parameter(torch.randn(heads, n_out) * 0.2)
        self.att_dst = nn.Parameter(torch.randn(heads, n_out) * 0.2)

    def forward(self, x, adj):
        h = self.proj(x).view(-1, self.heads, self.dim)
        src = (h * self.att_src).sum(-1)
        dst = (h * self.att_dst).sum(-1)
        e = F.leaky_relu(dst[:, None] + src[None, :], 0.2)
        e = e.masked_fill(adj[..., None] == 0, float("-inf"))
        a = e.softmax(dim=1)
        return torch.einsum("ijh,jhd->ihd", a, h).flatten(1)


class GAT(nn.Module):
    def __init__(self, n_feat, n_class):
        super().__init__()
        self.conv1 = GATLayer(n_feat, 8, heads=3)
        self.conv2 = GATLayer(24, n_class, heads=1)

    def forward(self, x, adj):
        return self.conv2(F.elu(self.conv1(x, adj)), adj)


def community_graph(n=40, classes=3, p_in=0.3, p_out=0.02, isolated=2):
    y = torch.arange(n) % classes
    same = y[:, None] == y[None, :]
    upper = torch.triu(torch.rand(n, n) < torch.where(same, p_in, p_out), diagonal=1)
    adj = (upper | upper.t()).float()
    adj[-isolated:] = 0
    adj[:, -isolated:] = 0
    adj = adj + torch.eye(n)
    x = F.one_hot(y, classes).float() + 0.8 * torch.randn(n, classes)
    labelled = (adj.sum(1) > 0) & (torch.rand(n) < 0.6)
    return x, adj, y, labelled


def fit(gat, graphs, lr=0.01):
    opt = torch.optim.Adam(gat.parameters(), lr=lr, weight_decay=5e-4)
    for epoch, (x, adj, y, labelled) in enumerate(graphs):
        logits = gat(x, adj)
        loss = F.cross_entropy(logits[labelled], y[labelled])
        opt.zero_grad()
        loss.backward()
        opt.step()
        print("epoch", epoch, "loss", round(loss.item(), 4))


torch.manual_seed(34)
gat = GAT(3, 3)
fit(gat, [community_graph() for _ in range(8)])
