import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(9)


class Encoder(nn.Module):
    def __init__(self, n_in, dim=16, p=0.1):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_in, 48), nn.GELU(), nn.Dropout(p), nn.Linear(48, dim))

    def forward(self, x):
        return F.normalize(self.net(x), dim=-1)


class RandContext:
    """Replays the dropout masks of the first pass."""

    def __init__(self):
        self.state = torch.get_rng_state()

    def __enter__(self):
        self.fork = torch.random.fork_rng(devices=[])
        self.fork.__enter__()
        torch.set_rng_state(self.state)

    def __exit__(self, *exc):
        self.fork.__exit__(*exc)


class GradCache:
    def __init__(self, models, chunk_size, loss_fn):
        self.models, self.chunk_size, self.loss_fn = models, chunk_size, loss_fn

    def forward_no_grad(self, model, chunks):
        states, reps = [], []
        with torch.no_grad():
            for chunk in chunks:
                states.append(RandContext())
                reps.append(model(chunk))
        return torch.cat(reps), states

    def build_cache(self, *reps):
        leaves = [r.detach().requires_grad_() for r in reps]
        loss = self.loss_fn(*leaves)
        loss.backward()
        return [leaf.grad for leaf in leaves], loss.detach()

    def forward_backward(self, model, chunks, cache, states):
        for chunk, grad, state in zip(chunks, cache.split(self.chunk_size), states):
            with state:
                reps = model(chunk)
            surrogate = torch.dot(reps.flatten(), grad.flatten())
            surrogate.backward()

    def cache_step(self, *inputs):
        chunked = [x.split(self.chunk_size) for x in inputs]
        passes = [self.forward_no_grad(m, c) for m, c in zip(self.models, chunked)]
        cache, loss = self.build_cache(*[reps for reps, _ in passes])
        for model, chunks, grads, (_, states) in zip(self.models, chunked, cache, passes):
            self.forward_backward(model, chunks, grads, states)
        return loss


def info_nce(q, d):
    return F.cross_entropy(q @ d.t() / 0.1, torch.arange(len(q)))


encoders = [Encoder(12), Encoder(20)]
optimizer = torch.optim.AdamW([p for e in encoders for p in e.parameters()], lr=2e-3)
gc = GradCache(encoders, chunk_size=8, loss_fn=info_nce)
lift = torch.randn(12, 20) / 3
for step in range(5):
    topics = torch.randn(32, 12)
    optimizer.zero_grad()
    loss = gc.cache_step(topics + 0.1 * torch.randn(32, 12), topics @ lift)
    optimizer.step()
    print(f"step {step} loss {loss.item():.4f}")
