import torch
from torch import nn


class SelfPaced(nn.Module):
    def __init__(self, regressor, threshold):
        super().__init__()
        self.regressor = regressor
        self.threshold = threshold

    def forward(self, x, y):
        loss = (self.regressor(x).squeeze(1) - y).abs()
        easy = (loss.detach() < self.threshold).float()
        return (loss * easy).sum() / easy.sum().clamp(min=1), int(easy.sum())

    def next_epoch(self):
        self.threshold *= 2
