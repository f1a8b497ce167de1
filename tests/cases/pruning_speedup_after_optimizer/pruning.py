import torch
from torch import nn


def l1_channels(linear, keep):
    return linear.weight.detach().abs().sum(dim=1).topk(keep).indices.sort().values


def shrink(linear, rows=None, cols=None):
    w, b = linear.weight.detach(), linear.bias.detach()
    if rows is not None:
        w, b = w[rows], b[rows]
    if cols is not None:
        w = w[:, cols]
    new = nn.Linear(w.shape[1], w.shape[0])
    new.load_state_dict({"weight": w, "bias": b})
    return new


def speedup(model, ratio=0.5):
    """Physically removes the pruned units of the hidden layers."""
    first, second = model.features[0], model.features[2]
    k1 = l1_channels(first, int(first.out_features * ratio))
    k2 = l1_channels(second, int(second.out_features * ratio))
    model.features[0] = shrink(first, rows=k1)
    model.features[2] = shrink(second, rows=k2, cols=k1)
    model.classifier = shrink(model.classifier, cols=k2)
    return model
