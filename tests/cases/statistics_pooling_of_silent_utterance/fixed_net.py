import torch
from torch import nn


class XVector(nn.Module):
    def __init__(self, n_speakers, width=16):
        super().__init__()
        self.tdnn = nn.Sequential(nn.Conv1d(10, width, 3), nn.LeakyReLU(), nn.Conv1d(width, width, 3), nn.LeakyReLU())
        self.classifier = nn.Linear(2 * width, n_speakers)

    def forward(self, feats):
        h = self.tdnn(feats)
        mean = h.mean(dim=2)
        std = (h.var(dim=2) + 1e-5).sqrt()
        return self.classifier(torch.cat([mean, std], dim=1))
