import torch
from torch import nn


class PosEmbedding(nn.Module):
    def __init__(self, n_freqs):
        super().__init__()
        self.register_buffer("freqs", 2.0 ** torch.arange(n_freqs))

    def forward(self, x):
        angles = (x[..., None, :] * self.freqs[:, None]).flatten(-2)
        return torch.cat([x, angles.sin(), angles.cos()], dim=-1)


class NeRF(nn.Module):
    def __init__(self, in_xyz=27, in_dir=15, width=32, in_a=0, encode_appearance=False):
        super().__init__()
        self.encode_appearance = encode_appearance
        self.trunk = nn.Sequential(nn.Linear(in_xyz, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.sigma = nn.Sequential(nn.Linear(width, 1), nn.Softplus())
        extra = in_a if encode_appearance else 0
        self.rgb = nn.Sequential(nn.Linear(width + in_dir + extra, width // 2), nn.ReLU(), nn.Linear(width // 2, 3))

    def forward(self, xyz, direction, appearance=None):
        h = self.trunk(xyz)
        head = [h, direction]
        if self.encode_appearance:
            head.append(appearance)
        return torch.sigmoid(self.rgb(torch.cat(head, dim=-1))), self.sigma(h).squeeze(-1)
