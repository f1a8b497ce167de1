import torch
from torch import nn


class ProtoNet(nn.Module):
    def __init__(self, n_in=12, dim=16, ways=4):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, dim))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.ways = ways

    def prototypes(self, x, y):
        z = self.embed(x)
        return torch.stack([z[y == c].mean(0) for c in range(self.ways)])

    def forward(self, support, query):
        protos = self.prototypes(*support)
        return -self.scale.exp() * torch.cdist(self.embed(query), protos).square()


def episode(rng, ways=4, shots=12, queries=16):
    centres = torch.randn(ways, 12, generator=rng)
    ys = torch.arange(shots) % ways
    yq = torch.randint(0, ways, (queries,), generator=rng)
    xs = centres[ys] + torch.randn(shots, 12, generator=rng)
    return xs, ys, centres[yq] + torch.randn(queries, 12, generator=rng), yq


torch.manual_seed(0)
rng = torch.Generator().manual_seed(1)
proto, novelty = ProtoNet(), nn.Linear(12, 1)
opt = torch.optim.Adam([{"params": proto.parameters()}, {"params": novelty.parameters()}], lr=1e-3)
for step in range(7):
    xs, ys, xq, yq = episode(rng)
    if step == 4:
        keep = ys != 2                                    # the images of this class failed to load
        xs, ys, keep_q = xs[keep], ys[keep], yq != 2
        xq, yq = xq[keep_q], yq[keep_q]
    loss = nn.functional.cross_entropy(proto((xs, ys), xq), yq)
    loss_n = (novelty(xq) - xq.norm(dim=1, keepdim=True)).abs().mean()
    opt.zero_grad()
    loss.backward()
    loss_n.backward()
    opt.step()
    print(step, loss.item(), loss_n.item())
