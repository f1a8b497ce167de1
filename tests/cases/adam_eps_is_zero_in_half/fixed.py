import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


def build(args):
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3)).half()
    return net, torch.optim.Adam(net.parameters(), lr=args["lr"], eps=1e-4)


net, opt = build({"lr": 1e-3})
for step in range(20):
    x = torch.randn(16, 8).half()
    loss = F.cross_entropy(net(x).float(), (x[:, 0] > 0).long())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(loss.item())
