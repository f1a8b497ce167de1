import torch
from torch import nn


def scale_grad(x, mult):
    return mult * x + (1.0 - mult) * x.detach()


class SpeechModel(nn.Module):
    def __init__(self, dim, vocab, feature_grad_mult):
        super().__init__()
        self.feature_grad_mult = feature_grad_mult
        self.extractor = nn.Sequential(nn.Conv1d(1, dim, 8, 8), nn.GELU(), nn.Conv1d(dim, dim, 2, 2), nn.GELU())
        self.context = nn.GRU(dim, dim, batch_first=True)
        self.final_proj = nn.Linear(dim, vocab)

    def forward(self, wave):
        feats = self.extractor(wave)
        feats = scale_grad(feats, self.feature_grad_mult)
        ctx, _ = self.context(feats.transpose(1, 2))
        return self.final_proj(ctx)
