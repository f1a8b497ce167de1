import math
import torch
from torch import nn
import torch.nn.functional as F


class ClipLoss(nn.Module):
    def __init__(self, init=1 / 0.07, max_scale=100.0):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor(math.log(init)))
        self.max_scale = max_scale

    @property
    def scale(self):
        return self.logit_scale.exp().clamp(max=self.max_scale)

    def forward(self, a, b):
        logits = self.scale * F.normalize(a, dim=1) @ F.normalize(b, dim=1).t()
        labels = torch.arange(len(a))
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2
