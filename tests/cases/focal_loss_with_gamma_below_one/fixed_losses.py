import torch
from torch import nn
import torch.nn.functional as F


class FocalLoss(nn.Module):
    def __init__(self, gamma):
        super().__init__()
        self.gamma = gamma

    def forward(self, logit, target):
        p = torch.sigmoid(logit)
        p_t = p * target + (1 - p) * (1 - target)
        ce = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
        weight = (1 - p_t).clamp(min=1e-6) ** self.gamma
        return (weight * ce).mean()
