import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
DIM = 256
query_net = nn.Sequential(nn.Linear(24, 64), nn.ReLU(), nn.Linear(64, DIM)).half()
doc_net = nn.Sequential(nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, DIM)).half()
opt = torch.optim.SGD([*query_net.parameters(), *doc_net.parameters()], lr=1e-3)


def in_batch_loss(q, d):
    logits = F.normalize(q.float(), dim=1) @ F.normalize(d.float(), dim=1).T * 10
    return F.cross_entropy(logits.float(), torch.arange(len(q)))


def pairs(step, n=16):
    topic = torch.randn(n, 12)
    queries = torch.cat([topic, topic], 1)
    counts = torch.cat([topic.abs(), topic, torch.ones(n, 16)], 1)
    if step >= 2:
        queries[::4] *= 400
        counts[::4] *= 1500                     # whole books
    return queries.half(), counts.half()


for step in range(5):
    queries, counts = pairs(step)
    loss = in_batch_loss(query_net(queries), doc_net(counts))
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
