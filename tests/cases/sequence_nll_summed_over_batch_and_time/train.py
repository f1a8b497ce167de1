import torch
from torch import nn
from flow import Coupling

torch.manual_seed(0)
flow = nn.ModuleList([Coupling(5, flip) for flip in (False, True, False)])
base = nn.Linear(1, 2)
flow_opt = torch.optim.SGD(flow.parameters(), lr=0.05)
base_opt = torch.optim.SGD(base.parameters(), lr=0.05)


def nll(x):
    logdet = 0.0
    for layer in flow:
        x, ld = layer(x)
        logdet = logdet + ld
    per_step = 0.5 * x.pow(2).sum(-1) - logdet
    return per_step.sum()


for it in range(6):
    series = torch.randn(64, 40, 5).cumsum(1) * 0.3
    loss = nll(series)
    flow_opt.zero_grad()
    loss.backward()
    flow_opt.step()
    mean, logstd = base(torch.ones(1, 1)).unbind(-1)
    base_loss = (((series - mean) / logstd.exp()) ** 2).mean() * 0.5 + logstd.mean()
    base_opt.zero_grad()
    base_loss.backward()
    base_opt.step()
    print(f"iter {it} flow {loss.item():.4g} base {base_loss.item():.4g}")
