import torch
from torch import nn
import torch.nn.functional as F

CHUNK = 8


def tower(n_in, dim):
    return nn.Sequential(nn.Linear(n_in, 32), nn.GELU(), nn.Linear(32, dim))


class GradCache:
    """contrastive step whose memory does not grow with the batch"""

    def __init__(self, towers, loss_fn):
        self.towers, self.loss_fn = towers, loss_fn

    def represent(self, inputs):
        cached = {}
        with torch.no_grad():
            for name, x in inputs.items():
                cached[name] = torch.cat([self.towers[name](c) for c in x.split(CHUNK)])
        return {name: r.detach().requires_grad_() for name, r in cached.items()}

    def __call__(self, inputs):
        reps = self.represent(inputs)
        loss = self.loss_fn(**reps)
        loss.backward()
        for name, x in inputs.items():
            for chunk, grad in zip(x.split(CHUNK), reps[name].grad.split(CHUNK)):
                surrogate = (self.towers[name](chunk) * grad).sum()
                surrogate.backward()
        return loss.detach()


def in_batch_negatives(queries, passages, temperature=0.1):
    sim = F.normalize(queries, dim=-1) @ F.normalize(passages, dim=-1).t()
    return F.cross_entropy(sim / temperature, torch.arange(len(sim)))


def batches(n, size):
    mix = torch.randn(10, 14)
    for _ in range(n):
        topic = torch.randn(size, 10)
        yield {"queries": topic + 0.1 * torch.randn_like(topic), "passages": torch.tanh(topic @ mix / 3)}


torch.manual_seed(37)
towers = nn.ModuleDict({"queries": tower(10, 12), "passages": tower(14, 12)})
optimizer = torch.optim.AdamW(towers.parameters(), lr=3e-3)
grad_cache = GradCache(towers, in_batch_negatives)
for step, batch in enumerate(batches(10, 32)):
    optimizer.zero_grad()
    loss = grad_cache(batch)
    optimizer.step()
    print(f"step {step} loss {loss.item():.4f}")
