import torch
import torch.nn.functional as F
from torch import nn, Tensor


class Store(nn.Module):
    def __init__(self, n_items: int, dim: int, n_context: int):
        super().__init__()
        self.items = nn.Embedding(n_items, dim)
        self.user = nn.Sequential(nn.Linear(n_context, 24), nn.GELU(), nn.Linear(24, dim))
        nn.init.normal_(self.items.weight, std=1e-7)

    def similarity(self, context: Tensor, ids: Tensor) -> Tensor:
        u = F.normalize(self.user(context), dim=-1)
        v = F.normalize(self.items(ids), dim=-1, eps=1e-30)
        return u @ v.T / 0.2

    def forward(self, context: Tensor, ids: Tensor) -> Tensor:
        logits = self.similarity(context, ids)
        return F.cross_entropy(logits, torch.arange(len(ids)))


def visits(n_items: int, size: int, generator: torch.Generator):
    """Every item is seen once per pass."""
    order = torch.randperm(n_items, generator=generator)
    for ids in order.split(size):
        context = torch.randn(len(ids), 6, generator=generator) * 0.1
        context[:, 0] += ids.float() / n_items
        context[:, 1] += (ids % 7).float() / 7
        yield context, ids


def tuned(store: Store):
    slow, fast = list(store.items.parameters()), list(store.user.parameters())
    return torch.optim.Adam([{"params": slow, "lr": 1e-3}, {"params": fast, "lr": 3e-3}])


torch.manual_seed(4)
store = Store(n_items=320, dim=12, n_context=6)
opt = tuned(store)
for i, (context, ids) in enumerate(visits(320, 40, torch.Generator().manual_seed(0))):
    loss = store(context, ids)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"batch {i} loss {loss.item():.4f}")
