import torch

DT = 0.1


def rollout(x, k, c, steps):
    v = torch.zeros_like(x)
    path = []
    for _ in range(steps):
        a = -k * x - c * v
        x, v = x + DT * v, v + DT * a
        path.append(x)
    return torch.stack(path, dim=1)
