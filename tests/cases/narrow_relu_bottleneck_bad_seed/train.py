import torch
from torch import nn

CONFIG = {"layers": [16, 8, 2], "lr": 1e-3, "seed": 3, "steps": 10, "batch": 32}


def mlp(n_in, widths, n_out):
    mods, last = [], n_in
    for w in widths:
        mods.append(nn.Linear(last, w))
        mods.append(nn.ReLU())
        last = w
    mods.append(nn.Linear(last, n_out))
    return nn.ModuleList(mods)


def apply(mods, x):
    for m in mods:
        x = m(x)
    return x


def batch(n):
    x = torch.rand(n, 6) * 0.5 + 0.5              # sensor readings, all positive
    return x, torch.sin(4 * x[:, :1]) + x[:, 1:2]


def fit(cfg):
    torch.manual_seed(cfg["seed"])
    net = mlp(6, cfg["layers"], 1)
    baseline = nn.Linear(6, 1)
    opt = torch.optim.Adam([*net.parameters(), *baseline.parameters()], lr=cfg["lr"])
    history = []
    for _ in range(cfg["steps"]):
        x, y = batch(cfg["batch"])
        err = (apply(net, x) - y).square().mean() + (baseline(x) - y).square().mean()
        opt.zero_grad()
        err.backward()
        opt.step()
        history.append(err.item())
    return history


if __name__ == "__main__":
    print(["%.3f" % h for h in fit(CONFIG)])
