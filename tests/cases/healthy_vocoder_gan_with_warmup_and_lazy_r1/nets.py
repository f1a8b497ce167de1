import torch
from torch import nn
import torch.nn.functional as F


def sn(layer):
    return nn.utils.parametrizations.weight_norm(layer)


class Generator(nn.Module):
    def __init__(self, bands=10, ch=24):
        super().__init__()
        self.net = nn.Sequential(sn(nn.Conv1d(bands, ch, 5, padding=2)), nn.LeakyReLU(0.1),
                                 sn(nn.ConvTranspose1d(ch, ch, 8, 4, 2)), nn.LeakyReLU(0.1), sn(nn.Conv1d(ch, 1, 7, padding=3)))

    def forward(self, s):
        return torch.tanh(self.net(s))


class Critic(nn.Module):
    def __init__(self, pool, ch=12):
        super().__init__()
        self.pool = nn.AvgPool1d(pool, pool) if pool > 1 else nn.Identity()
        self.layers = nn.ModuleList([sn(nn.Conv1d(1, ch, 9, 2, 4)), sn(nn.Conv1d(ch, ch, 9, 2, 4)), sn(nn.Conv1d(ch, 1, 3, 1, 1))])

    def forward(self, x):
        x, feats = self.pool(x), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            feats.append(x)
        return self.layers[-1](x), feats


class MultiScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.ModuleList([Critic(1), Critic(2)])

    def forward(self, x):
        return [c(x) for c in self.scales]
