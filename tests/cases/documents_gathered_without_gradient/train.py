"""Two tower retrieval, in-batch negatives over all workers (one worker here)."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
WORLD, DIM, BATCH = 1, 32, 24


class Tower(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, n_out))

    def forward(self, x):
        return F.normalize(self.body(x), dim=-1)


class LocalGroup:
    """Stands in for torch.distributed when a single process is used."""

    def all_gather(self, out, t):
        for slot in out:
            slot.copy_(t)


group = LocalGroup()


@torch.no_grad()
def gather(t):
    parts = [torch.empty_like(t) for _ in range(WORLD)]
    group.all_gather(parts, t)
    return torch.cat(parts)


query_tower = Tower(20, DIM)
doc_tower = Tower(28, DIM)
temperature = nn.Parameter(torch.tensor(2.0))
opt = torch.optim.AdamW(
    [{"params": query_tower.parameters()}, {"params": doc_tower.parameters()}, {"params": [temperature], "weight_decay": 0.0}],
    lr=2e-3, weight_decay=0.0)

mix_q, mix_d = torch.randn(8, 20), torch.randn(8, 28)


def batches(n):
    for _ in range(n):
        topic = torch.randn(BATCH, 8)
        yield topic @ mix_q, topic @ mix_d


for step, (q, d) in enumerate(batches(60)):
    qv = query_tower(q)
    dv = gather(doc_tower(d))
    logits = temperature.exp() * qv @ dv.t()
    loss = F.cross_entropy(logits, torch.arange(BATCH))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 20 == 0:
        print(step, round(loss.item(), 4))
