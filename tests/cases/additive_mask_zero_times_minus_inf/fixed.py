import torch
from torch import nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))

    def forward(self, x, keep):
        additive = torch.zeros_like(keep).masked_fill(keep == 0, float("-inf"))
        scores = torch.einsum("bqd,bkd->bqk", self.q(x), self.k(x)) / x.size(-1) ** 0.5
        attn = torch.softmax(scores + additive[:, None], dim=-1)
        return x + attn @ self.v(x)


def collate(n):
    length = torch.randint(4, 11, (n,))
    keep = (torch.arange(10)[None] < length[:, None]).float()
    ids = torch.randint(1, 40, (n, 10)) * keep.long()
    return ids, keep, length % 3


torch.manual_seed(0)
tok, block, head = nn.Embedding(40, 16, padding_idx=0), Block(16), nn.Linear(16, 3)
opt = torch.optim.Adam([p for m in (tok, block, head) for p in m.parameters()], lr=1e-3)
for step in range(5):
    ids, keep, y = collate(24)
    h = block(tok(ids), keep)
    pooled = (h * keep[..., None]).sum(1) / keep.sum(1, keepdim=True)
    loss = F.cross_entropy(head(pooled), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
