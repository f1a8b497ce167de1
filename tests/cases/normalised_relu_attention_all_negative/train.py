import torch
from torch import nn


class SparseAttention(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.scorer = nn.Linear(dim, 1)
        nn.init.ones_(self.scorer.bias)
        self.value = nn.Linear(dim, hidden)

    def forward(self, items):
        weight = torch.relu(self.scorer(items))
        weight = weight / weight.sum(dim=1, keepdim=True)
        return (weight * self.value(items)).sum(dim=1)


def make_sets(batch, n=16, size=8, dim=6):
    items = torch.randn(n, size, dim)
    if batch == 4:
        items[0] = -30 * attention.scorer.weight.detach()      # near duplicates, none relevant
    return items, items.mean(1)[:, :1].sign().clamp(min=0)


torch.manual_seed(5)
attention = SparseAttention(6, 12)
predictor = nn.Sequential(nn.ReLU(), nn.Linear(12, 1))
opt = torch.optim.Adam([*attention.parameters(), *predictor.parameters()], lr=1e-3)
for batch in range(8):
    items, label = make_sets(batch)
    logit = predictor(attention(items))
    loss = nn.functional.binary_cross_entropy_with_logits(logit, label)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("batch", batch, "loss", round(loss.item(), 4))
