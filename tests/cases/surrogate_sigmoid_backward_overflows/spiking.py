import torch
from torch import nn


class SurrogateSigmoid(torch.autograd.Function):
    slope = 25.0

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 0).float()

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        k = SurrogateSigmoid.slope
        return grad * k * torch.exp(-k * u) / (torch.exp(-k * u) + 1) ** 2


class LIF(nn.Module):
    def __init__(self, beta, threshold=1.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, current, mem):
        mem = self.beta * mem + current
        spk = SurrogateSigmoid.apply(mem - self.threshold)
        return spk, mem - spk.detach() * self.threshold
