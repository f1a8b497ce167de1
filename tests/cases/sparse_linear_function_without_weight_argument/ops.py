import torch


class PrunedMatmul(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, layer):
        ctx.layer = layer
        return x @ (layer.weight * layer.mask).t()

    @staticmethod
    def backward(ctx, grad):
        w = ctx.layer.weight * ctx.layer.mask
        return grad @ w, None
