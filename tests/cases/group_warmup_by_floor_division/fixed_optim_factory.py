import torch
from torch.optim.lr_scheduler import LambdaLR


def linear_ramp(n):
    return lambda update: min(1, (update + 1) / n)


def constant():
    return lambda update: 1


def create(plan, modules):
    """plan: name -> (lr, warm-up updates)"""
    groups, factors = [], []
    for name, (lr, warm) in plan.items():
        groups.append({"params": list(modules[name].parameters()), "lr": lr, "name": name})
        factors.append(linear_ramp(warm) if warm else constant())
    opt = torch.optim.AdamW(groups, weight_decay=0.01)
    return opt, LambdaLR(opt, factors)
