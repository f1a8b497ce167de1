import torch
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU, "softplus": nn.Softplus}


def mlp(sizes, activation, last_bias=True):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b, bias=last_bias or i < len(sizes) - 2))
        if i < len(sizes) - 2:
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


class Potential(nn.Module):
    """Electrostatic potential on the plane; the data only see its charge density."""

    def __init__(self, hidden, activation):
        super().__init__()
        self.net = mlp([2, hidden, hidden, 1], activation, last_bias=False)

    def forward(self, xy):
        return self.net(xy).squeeze(-1)


class Detector(nn.Module):
    """Position dependent gain and offset of the charge sensor."""

    def __init__(self, hidden, activation):
        super().__init__()
        self.gain, self.offset = mlp([2, hidden, 1], activation), mlp([2, hidden, 1], activation)

    def forward(self, xy, rho):
        return (1 + self.gain(xy).squeeze(-1)) * rho + self.offset(xy).squeeze(-1)


def gradient(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def laplacian(f, xy):
    xy = xy.clone().requires_grad_()
    first = gradient(f(xy), xy)
    return sum(gradient(first[:, i], xy)[:, i] for i in range(xy.shape[1]))
